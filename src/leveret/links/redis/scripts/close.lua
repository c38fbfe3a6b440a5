-- Closes a session that holds nothing any more. ARGV: the prefix, session, incarnation of its node.
-- Answers 0 where it still holds something.
--#include place

if redis.call('EXISTS', P .. 'leveret:held:' .. ARGV[2]) == 1 then return 0 end
redis.call('HDEL', P .. 'leveret:claims', ARGV[2])
redis.call('HDEL', P .. 'leveret:sessions', ARGV[2])
redis.call('ZREM', P .. 'leveret:closing', ARGV[2])
redis.call('ZREM', P .. 'leveret:orphans', ARGV[2])
redis.call('SREM', P .. 'leveret:node:' .. ARGV[3], ARGV[2])
return 1
