-- Hands messages over: nothing but this makes a message a session's.
-- ARGV: the prefix, session, number of the claim, credit, "1" when the session may lie idle, how many queues, the
-- queues, and the suffixes of their steps, the most urgent first.
-- Answers {"new", place before the first, whether anything was revoked, list, its messages, list, its messages ...},
-- {"same", place before the first, how many, field, message ...} where the same number asked before, {"late"} for a copy
-- of an earlier request, {"gone"} where the session is not (or no longer) registered.
--#include place

local session, number, room = ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[4])
local queues = tonumber(ARGV[6])
local held = P .. 'leveret:held:' .. session
local last = redis.call('HGET', P .. 'leveret:claims', session)
if not last then return {'gone'} end
local before, base, count = string.match(last, '^(%S+) (%S+) (%S+)$')
if number < tonumber(before) then return {'late'} end
if number == tonumber(before) then
  local again = {'same', base, count}
  for _, value in ipairs(redis.call('HGETALL', held)) do again[#again + 1] = value end
  return again
end

promote(100)
local answer = {'new', 0, redis.call('EXISTS', P .. 'leveret:revoked')}
local taken, wrong = 0, nil
for step = 7 + queues, #ARGV do
  for turn = 0, queues - 1 do
    -- Queues take turns, so that a busy one does not keep the others waiting.
    local list = ARGV[7 + (number + turn) % queues] .. ARGV[step]
    -- Not `call`: somebody else's key under a queue's name must not take along what was popped before it.
    local raws = room > 0 and redis.pcall('RPOP', P .. list, room)
    if raws and raws.err then
      wrong = raws
    elseif raws then
      answer[#answer + 1] = list
      answer[#answer + 1] = raws
      room = room - #raws
      taken = taken + #raws
    end
  end
end
if taken == 0 then
  if wrong then return wrong end
  redis.call('HSET', P .. 'leveret:claims', session, number .. ' 0 0')
  return answer
end
local place = redis.call('INCRBY', P .. 'leveret:seq', taken) - taken
answer[2] = place
redis.call('HSET', P .. 'leveret:claims', session, string.format('%d %d %d', number, place, taken))
for i = 4, #answer, 2 do
  local fields = {}
  for _, raw in ipairs(answer[i + 1]) do
    place = place + 1
    fields[#fields + 1] = string.format('%d-%s %s', place, ARGV[3], answer[i])
    fields[#fields + 1] = raw
  end
  redis.call('HSET', held, unpack(fields))
end
if ARGV[5] == '1' then
  for i = 7, 6 + queues do redis.call('SREM', P .. 'leveret:idle:' .. ARGV[i], session) end
end
return answer
