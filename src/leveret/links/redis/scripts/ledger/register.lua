-- Announces a node, and sessions of it, after its predecessors are lost.
-- ARGV: the prefix, incarnation, facts of the node, seconds of its lease, how many predecessors, their incarnations, then
-- for each session its id and whether it is a quarantine ("1" or "0").
--#include ledger/ground
--#include fleet

even_when_full()
local first = 6 + tonumber(ARGV[5])
for at = 6, first - 1 do lose(ARGV[at]) end
renew(ARGV[2], ARGV[3], ARGV[4])
for at = first, #ARGV, 2 do
  redis.call('HSET', FLEET .. 'sessions', ARGV[at], ARGV[at + 1] .. ' ' .. ARGV[2])
  redis.call('SADD', FLEET .. 'node:' .. ARGV[2], ARGV[at])
  redis.call('PERSIST', FLEET .. 'held:' .. ARGV[at])
end
return 1
