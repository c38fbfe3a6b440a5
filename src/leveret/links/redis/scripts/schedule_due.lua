-- What there is to do now.
-- ARGV: the prefix, seconds after which a run that was taken and not reported is handed on, how many of each at most.
-- Answers {now, when the next entry is due ("": never), whether there is more, facts of those due, fires handed on}.
--#include place
--#include entries

local most = tonumber(ARGV[3])
local orphans = redis.call('ZRANGEBYSCORE', TAKEN, '-inf', string.format('%.6f', now() - tonumber(ARGV[2])), 'LIMIT', 0, most)
local fires = {}
if #orphans > 0 then
  even_when_full()
  for _, member in ipairs(orphans) do
    redis.call('ZADD', TAKEN, stamp(), member)
    fires[#fires + 1] = redis.call('HGET', FIRES, member)
  end
end
local names = redis.call('ZRANGEBYSCORE', SCHEDULE, '-inf', stamp(), 'LIMIT', 0, most + 1)
local due = {}
for i = 1, math.min(#names, most) do due[i] = facts_of(names[i]) end
local following = redis.call('ZRANGEBYSCORE', SCHEDULE, '(' .. stamp(), '(+inf', 'WITHSCORES', 'LIMIT', 0, 1)
return {stamp(), following[2] or '', #names > most and 1 or 0, due, fires}
