-- What should have been sent by now. ARGV: the prefix, how many at most. Answers id, messages ...
--#include outbox/ground

local due = redis.call('ZRANGEBYSCORE', OUTBOX, '-inf', now(), 'LIMIT', 0, ARGV[2])
local answer = {}
for _, id in ipairs(due) do
  local messages = redis.call('GET', OUTBOX .. ':' .. id)
  if messages then
    answer[#answer + 1] = id
    answer[#answer + 1] = messages
  else
    redis.call('ZREM', OUTBOX, id)
  end
end
return answer
