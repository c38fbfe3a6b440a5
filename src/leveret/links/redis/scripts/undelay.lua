-- Forgets delayed messages of one queue. ARGV: the prefix, the queue, and what they are called. Answers how many.
--#include place

local gone = 0
for i = 3, #ARGV do
  if redis.call('ZREM', P .. 'leveret:delayed', ARGV[i]) == 1 then
    redis.call('HDEL', P .. 'leveret:delayed:messages', ARGV[i])
    redis.call('HINCRBY', P .. 'leveret:delayed:counts', queue_of(string.match(ARGV[i], '^%d+ (.*)$')), -1)
    gone = gone + 1
  end
end
return gone
