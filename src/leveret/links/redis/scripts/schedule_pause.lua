-- Stops entries of the schedule, or lets them go on from now.
-- ARGV: the prefix, "1" to stop, names. Answers 1 for each that is there, else 0.
--#include place
--#include entries

local answers = {}
for at = 3, #ARGV do
  local name = ARGV[at]
  local key = entry_key(name)
  local known = redis.call('HMGET', key, 'cursor', 'due', 'paused')
  local cursor, due, stops = known[1], known[2], ARGV[2] == '1'
  if cursor and (known[3] == '1') ~= stops then
    if not stops then
      due = '0'
      if tonumber(cursor) < now() then cursor = stamp() end
    end
    redis.call('HSET', key, 'paused', ARGV[2], 'cursor', cursor, 'due', due)
    rank(name, due, stops)
  end
  answers[#answers + 1] = cursor and 1 or 0
end
return answers
