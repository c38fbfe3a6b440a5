-- One small step of all upkeep.
-- ARGV: the prefix, seconds of a lease, seconds after which a tick is old, how many messages and letters at most, seconds
-- to keep dead letters ("": for ever). Answers {whether more is left, seconds until the next delayed message or ""}.
--#include place
--#include fleet

local most = tonumber(ARGV[4])
even_when_full()
tick(ARGV[2], ARGV[3])
local more = promote(most) == most
if ARGV[5] ~= '' then
  local old = redis.call('ZRANGEBYSCORE', P .. 'leveret:dead', '-inf', now() - tonumber(ARGV[5]), 'LIMIT', 0, most)
  if #old > 0 then
    redis.call('ZREM', P .. 'leveret:dead', unpack(old))
    redis.call('HDEL', P .. 'leveret:dead:letters', unpack(old))
    more = more or #old == most
  end
end
redis.call('ZREMRANGEBYSCORE', P .. 'leveret:revoked', '-inf', now())
return {more and 1 or 0, next_due()}
