-- Ends a node, if its lease has still run out or it must go in any case ("1").
-- ARGV: the prefix, incarnation, "1" or "0". Answers its sessions, which take nothing any more and are to be closed.
--#include place

local expires = redis.call('ZSCORE', P .. 'leveret:leases', ARGV[2])
if ARGV[3] ~= '1' and expires and tonumber(expires) > now() then return {} end
local sessions = redis.call('SMEMBERS', P .. 'leveret:node:' .. ARGV[2])
for _, session in ipairs(sessions) do
  redis.call('HDEL', P .. 'leveret:claims', session)
  redis.call('ZADD', P .. 'leveret:closing', 'NX', now(), session)
end
redis.call('DEL', P .. 'leveret:node:' .. ARGV[2])
redis.call('ZREM', P .. 'leveret:leases', ARGV[2])
redis.call('HDEL', P .. 'leveret:nodes', ARGV[2])
return sessions
