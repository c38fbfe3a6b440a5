-- Renews a lease and looks after the fleet.
-- ARGV: the prefix, incarnation, facts of the node, seconds of a lease, seconds after which a tick is old, seconds after
-- which a session that somebody began to close is anybody's to close, and the node's lists of suspects.
-- Answers {whether the lease had gone, how many suspects wait, nodes whose lease ran out, orphans and since how many
-- seconds they are, sessions to close, seconds until the next lease runs out or ""}.
--#include place
--#include fleet

even_when_full()
local reap_from = tick(ARGV[4], ARGV[5])
local revived = renew(ARGV[2], ARGV[3], ARGV[4])
local suspects = 0
for at = 7, #ARGV do suspects = suspects + redis.call('LLEN', P .. ARGV[at]) end
local orphans = redis.call('ZRANGE', P .. 'leveret:orphans', 0, -1, 'WITHSCORES')
for i = 2, #orphans, 2 do orphans[i] = string.format('%.3f', now() - orphans[i]) end
local closing = redis.call('ZRANGEBYSCORE', P .. 'leveret:closing', '-inf', now() - tonumber(ARGV[6]))
return {revived and 1 or 0, suspects, lost(reap_from), orphans, closing, next_loss(reap_from)}
