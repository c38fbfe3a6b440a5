-- Announces a node, and sessions of it.
-- ARGV: the prefix, incarnation, facts of the node, seconds of its lease, then for each session its id and facts.
--#include place
--#include fleet

even_when_full()
renew(ARGV[2], ARGV[3], ARGV[4])
for at = 5, #ARGV, 2 do
  redis.call('HSETNX', P .. 'leveret:claims', ARGV[at], '-1 0 0')
  redis.call('HSET', P .. 'leveret:sessions', ARGV[at], ARGV[at + 1])
  redis.call('SADD', P .. 'leveret:node:' .. ARGV[2], ARGV[at])
end
return 1
