-- Gives deliveries back that have not run, or whose session is over.
-- ARGV: the prefix, then for each delivery session, field, the message as it is from now on, its list, and seconds to wait
-- or "". They go to the front of their lists in this order: the one that was first in the queue comes last.
-- Answers for each 1, or 0 where it is not held any more.
--#include place

local answers = {}
local came = {}
for at = 2, #ARGV, 5 do
  local list = ARGV[at + 3]
  local ours = redis.call('HDEL', P .. 'leveret:held:' .. ARGV[at], ARGV[at + 1])
  if ours == 1 then
    if ARGV[at + 4] ~= '' then
      delay(list, ARGV[at + 2], now() + tonumber(ARGV[at + 4]))
    else
      push(redis.call, 'RPUSH', list, ARGV[at + 2])
      came[queue_of(list)] = (came[queue_of(list)] or 0) + 1
    end
  end
  answers[#answers + 1] = ours
end
for queue, count in pairs(came) do ring(queue, count) end
return answers
