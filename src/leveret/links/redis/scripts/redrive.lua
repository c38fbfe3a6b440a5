-- Sends a dead letter again, and forgets what was stored of its first life.
-- ARGV: the prefix, id of the letter, list, message, id of its door ("": none), attempt, keys of its document and facts.
--#include place

if redis.call('HDEL', P .. 'leveret:dead:letters', ARGV[2]) == 0 then return 0 end
redis.call('ZREM', P .. 'leveret:dead', ARGV[2])
redis.call('DEL', ARGV[7], ARGV[8])
if ARGV[5] ~= '' then redis.call('SET', P .. 'leveret:door:' .. ARGV[5], ARGV[6], 'EX', DOOR_SECONDS) end
put(ARGV[3], ARGV[4], '')
return 1
