-- The server's clock, the only one that counts. Included by scripts.
local moment

local function now()
  if not moment then
    local time = redis.call('TIME')
    moment = time[1] + time[2] / 1000000
  end
  return moment
end
