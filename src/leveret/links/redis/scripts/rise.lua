-- Does not lie idle any more. Who had been called, and will not come, calls another.
-- ARGV: the prefix, session, how many queues, the queues, and the suffixes of their steps.
--#include place

local queues = tonumber(ARGV[3])
for i = 4, 3 + queues do
  local lay = redis.call('SREM', P .. 'leveret:idle:' .. ARGV[i], ARGV[2])
  if lay + redis.call('SREM', P .. 'leveret:watching:' .. ARGV[i], ARGV[2]) == 0 then
    for step = 4 + queues, #ARGV do
      local list = ARGV[i] .. ARGV[step]
      if redis.call('EXISTS', P .. list) == 1 or redis.call('HEXISTS', P .. 'leveret:lanes', list) == 1 then
        ring(ARGV[i], 1)
        break
      end
    end
  end
end
return 1
