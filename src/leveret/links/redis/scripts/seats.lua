-- Takes a seat in a join; the first value of a seat wins, and a failed one closes the join unless it is complete. Included
-- by scripts. Answers false while the join is open or once it is closed, else the whole hash: seats and values, with "size"
-- among them. A size of "0" is not known here.
local function sit(key, index, size, value, milliseconds, failed)
  if size ~= '0' then redis.call('HSETNX', key, 'size', size) end
  if redis.call('HGET', key, 'closed') then return false end
  local known = redis.call('HGET', key, 'size')
  local wanted, count = tonumber(known or ''), redis.call('HLEN', key) - (known and 1 or 0)
  local complete, over = wanted and count >= wanted, false
  if not complete and failed == '1' then
    redis.call('HSETNX', key, 'closed', 1)
    over = true
  elseif not complete and redis.call('HSETNX', key, index, value) == 1 then
    complete = wanted and count + 1 >= wanted
    over = complete
  end
  -- An open join has no deadline; one that is over answers again for as long as a result lives.
  if over and milliseconds ~= '0' then redis.call('PEXPIRE', key, milliseconds) end
  return complete and redis.call('HGETALL', key) or false
end
