-- Takes seats in joins; the first value of a seat wins.
-- KEYS: the hash of each seat's join. ARGV: milliseconds to keep a complete join ("0": for ever), then for each seat its
-- index, the join's size and the value.
-- Answers for each seat nil while its join is open, else the whole hash: seats and values, with "size" among them.

local answers = {}
for i, key in ipairs(KEYS) do
  local index, size, value = ARGV[3 * i - 1], ARGV[3 * i], ARGV[3 * i + 1]
  redis.call('HSETNX', key, 'size', size)
  local taken = redis.call('HSETNX', key, index, value)
  local count = redis.call('HLEN', key) - 1
  if count < tonumber(redis.call('HGET', key, 'size')) then
    answers[i] = false
  else
    -- An open join has no deadline; a complete one answers again for as long as a result lives.
    if taken == 1 and ARGV[1] ~= '0' then redis.call('PEXPIRE', key, ARGV[1]) end
    answers[i] = redis.call('HGETALL', key)
  end
end
return answers
