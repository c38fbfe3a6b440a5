-- Puts back what a Celery worker held and left behind, if nobody has done so meanwhile.
-- ARGV: the prefix, the names of kombu's hash and of its index, unix time after which a hand-over is too young, its tag,
-- then for each list it goes to the list and the message. Answers 1, or 0 where it is not there any more, or too young.
--#include place

local hash, index, tag = P .. ARGV[2], P .. ARGV[3], ARGV[5]
local since = redis.call('ZSCORE', index, tag)
if not since or tonumber(since) > tonumber(ARGV[4]) then return 0 end
redis.call('ZREM', index, tag)
if redis.call('HDEL', hash, tag) == 0 then return 0 end
for at = 6, #ARGV, 2 do
  push(redis.call, 'RPUSH', ARGV[at], ARGV[at + 1])
  ring(queue_of(ARGV[at]), 1)
end
return 1
