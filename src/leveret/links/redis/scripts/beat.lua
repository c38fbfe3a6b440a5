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
local lost = {}
if now() >= reap_from then lost = redis.call('ZRANGEBYSCORE', P .. 'leveret:leases', '-inf', now()) end
local orphans = redis.call('ZRANGE', P .. 'leveret:orphans', 0, -1, 'WITHSCORES')
for i = 2, #orphans, 2 do orphans[i] = string.format('%.3f', now() - orphans[i]) end
local closing = redis.call('ZRANGEBYSCORE', P .. 'leveret:closing', '-inf', now() - tonumber(ARGV[6]))
-- In a time of grace those that ran out count too: they are lost when it ends.
local after = now() < reap_from and '-inf' or '(' .. string.format('%.6f', now())
local next_loss = redis.call('ZRANGEBYSCORE', P .. 'leveret:leases', after, '+inf', 'WITHSCORES', 'LIMIT', 0, 1)
local seconds = next_loss[2] and string.format('%.6f', math.max(next_loss[2], reap_from) - now()) or ''
return {revived and 1 or 0, suspects, lost, orphans, closing, seconds}
