-- Takes a seat in a join; the first value of a seat wins. Included by scripts.
-- Answers false while the join is open, else the whole hash: seats and values, with "size" among them.
local function sit(key, index, size, value, milliseconds)
  redis.call('HSETNX', key, 'size', size)
  local taken = redis.call('HSETNX', key, index, value)
  local count = redis.call('HLEN', key) - 1
  if count < tonumber(redis.call('HGET', key, 'size')) then return false end
  -- An open join has no deadline; a complete one answers again for as long as a result lives.
  if taken == 1 and milliseconds ~= '0' then redis.call('PEXPIRE', key, milliseconds) end
  return redis.call('HGETALL', key)
end
