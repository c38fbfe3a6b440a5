-- Settles deliveries: for each its outcome behind the fence, its seat, what follows, and its end; all of it or nothing.
-- ARGV: the prefix, "1" to publish outcomes, documents found not ended (`store.lua`), then for each delivery
--   session, field (its receipt), id of its door ("": none), attempt at the door,
--   key of the document ("": there is no outcome), key of the facts, document, facts, milliseconds to keep them,
--   how many more values there are, and those:
--     nothing, which is a plain acknowledgement, or
--     verdict "ack", "release" (message, seconds to wait or "", list) or "reject" (letter, its id, ""), always three values,
--     key of the join ("": no seat), index, size, value, milliseconds to keep it,
--     and messages that follow, as `door.lua` reads them.
-- Answers for each 1 done, 0 refused by the fence, 2 there is a document this script cannot read, 3 not held any more;
-- {1, the join's hash} where the last seat was taken; last: 1 when this user may not publish.
--#include fence
--#include place
--#include seats
--#include door

local answers = {}
local asked = ARGV[2] == '1'
silent = not asked

local function finish(at, last)
  local verdict_is = ARGV[at]
  local joined = false
  if ARGV[at + 4] ~= '' then
    joined = sit(ARGV[at + 4], ARGV[at + 5], ARGV[at + 6], ARGV[at + 7], ARGV[at + 8])
  end
  if verdict_is == 'release' then
    local list = ARGV[at + 3]
    if ARGV[at + 2] ~= '' then
      delay(list, ARGV[at + 1], now() + tonumber(ARGV[at + 2]))
    else
      redis.call('RPUSH', P .. list, ARGV[at + 1])
      ring(queue_of(list), 1)
    end
  elseif verdict_is == 'reject' then
    redis.call('HSET', P .. 'leveret:dead:letters', ARGV[at + 2], ARGV[at + 1])
    redis.call('ZADD', P .. 'leveret:dead', now(), ARGV[at + 2])
  end
  post(at + 9, last)
  return joined
end

local at = 4
while at <= #ARGV do
  local session, field, door, attempt = ARGV[at], ARGV[at + 1], ARGV[at + 2], ARGV[at + 3]
  local document_key, facts_key, document, facts = ARGV[at + 4], ARGV[at + 5], ARGV[at + 6], ARGV[at + 7]
  local held, more = P .. 'leveret:held:' .. session, tonumber(ARGV[at + 9])
  local answer, stood = 1, nil
  if document_key ~= '' then
    local known = redis.call('MGET', document_key, facts_key)
    stood = known[1]
    if known[1] or known[2] then answer = verdict(known[1], known[2], facts, ARGV[3]) end
  end
  if answer == 1 and redis.call('HDEL', held, field) == 0 then answer = 3 end
  if answer == 1 then
    if document_key ~= '' then keep(document_key, facts_key, stood, document, facts, ARGV[at + 8]) end
    if door ~= '' and redis.call('GET', P .. 'leveret:door:' .. door) == attempt then
      redis.call('DEL', P .. 'leveret:door:' .. door)
    end
    if more > 0 then
      local joined = finish(at + 10, at + 9 + more)
      if joined then answer = {1, joined} end
    end
  end
  answers[#answers + 1] = answer
  at = at + 10 + more
end
answers[#answers + 1] = asked and silent and 1 or 0
return answers
