-- Hands messages over: nothing but this makes a message a session's. Included by scripts, after `place`.
-- ARGV from place `at` to its end: session, number of the claim, credit, "1" when the session may lie idle, how many queues,
-- the queues, and the suffixes of their steps, the most urgent first.
-- Answers {"new", place before the first, whether anything was revoked, list, its messages, list, its messages ...}, a message
-- that this very script was given as its place in ARGV,
-- {"same", place before the first, how many, field, message ...} where the same number asked before, {"late"} for a copy
-- of an earlier request, {"gone"} where the session is not (or no longer) registered; and how many came of each queue.
local function take(at)
  local session, number, room = ARGV[at], tonumber(ARGV[at + 1]), tonumber(ARGV[at + 2])
  local queues = tonumber(ARGV[at + 4])
  local held = P .. 'leveret:held:' .. session
  local last = redis.call('HGET', P .. 'leveret:claims', session)
  if not last then return {'gone'}, {} end
  local before, base, count = string.match(last, '^(%S+) (%S+) (%S+)$')
  if number < tonumber(before) then return {'late'}, {} end
  if number == tonumber(before) then
    local again = {'same', base, count}
    for _, value in ipairs(redis.call('HGETALL', held)) do again[#again + 1] = value end
    return again, {}
  end

  promote(100)
  local answer = {'new', 0, redis.call('EXISTS', P .. 'leveret:revoked', P .. 'leveret:lanes')}
  local lanes = answer[3] > 0 and redis.call('EXISTS', P .. 'leveret:lanes') == 1
  if lanes then answer[3] = answer[3] - 1 end
  local taken, wrong, came = 0, nil, {}
  for step = at + 5 + queues, #ARGV do
    for turn = 0, queues - 1 do
      -- Queues take turns, so that a busy one does not keep the others waiting.
      local queue = ARGV[at + 5 + (number + turn) % queues]
      local list = queue .. ARGV[step]
      if lanes and room > 0 and redis.call('HEXISTS', P .. 'leveret:lanes', list) == 1 then
        -- Made here, where there are lanes: a script pays for each function it makes.
--#include turns
        local function took(from, raw)
          answer[#answer + 1] = from
          answer[#answer + 1] = {raw}
          room, taken = room - 1, taken + 1
          came[queue] = (came[queue] or 0) + 1
        end
        local function plain()
          local raw = redis.pcall('RPOP', P .. list)
          if type(raw) == 'table' then
            wrong = raw
            raw = nil
          end
          local young = kept[list]
          if not raw and young then raw = table.remove(young, 1) end
          if raw then took(list, raw) end
          return raw
        end
        take_turns(list, room, plain, took)
      end
      -- Not `call`: somebody else's key under a queue's name must not take along what was popped before it.
      local raws = room > 0 and redis.pcall('RPOP', P .. list, room)
      if raws and raws.err then
        wrong = raws
        raws = nil
      end
      local young = kept[list]
      while young and young[1] and (raws and #raws or 0) < room do
        raws = raws or {}
        raws[#raws + 1] = table.remove(young, 1)
      end
      if raws then
        answer[#answer + 1] = list
        answer[#answer + 1] = raws
        room = room - #raws
        taken = taken + #raws
        came[queue] = (came[queue] or 0) + #raws
      end
    end
  end
  if taken == 0 then
    if wrong then return wrong, came end
    redis.call('HSET', P .. 'leveret:claims', session, number .. ' 0 0')
    return answer, came
  end
  local place = redis.call('INCRBY', P .. 'leveret:seq', taken) - taken
  answer[2] = place
  redis.call('HSET', P .. 'leveret:claims', session, string.format('%d %d %d', number, place, taken))
  for i = 4, #answer, 2 do
    local fields = {}
    for nth, raw in ipairs(answer[i + 1]) do
      place = place + 1
      fields[#fields + 1] = string.format('%d-%s %s', place, ARGV[at + 1], answer[i])
      fields[#fields + 1] = raw
      -- Whoever has just sent it need not be sent it.
      if posted[raw] then answer[i + 1][nth] = posted[raw] end
    end
    redis.call('HSET', held, unpack(fields))
  end
  if ARGV[at + 3] == '1' then
    for i = at + 5, at + 4 + queues do
      redis.call('SREM', P .. 'leveret:idle:' .. ARGV[i], session)
      redis.call('SREM', P .. 'leveret:watching:' .. ARGV[i], session)
    end
  end
  return answer, came
end
