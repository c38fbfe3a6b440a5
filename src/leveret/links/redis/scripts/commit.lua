-- Settles deliveries: for each its outcome behind the fence, its seat, what follows, and its end; all of it or nothing. Then
-- takes what may be claimed, where it is told to: who idles is woken for the rest.
-- ARGV: the prefix, "1" to publish outcomes, documents found not ended (`store.lua`), session, what stands before and
-- after the key of a document in that of its facts, milliseconds to keep a plain outcome, "1" to keep the values of joins in
-- order, milliseconds to remember that a join is over, how many values at the end are for `taking.lua` ("0": nothing is to be
-- taken), then for each delivery
--   "=", field (its receipt), key of the document, document: an acknowledgement with an outcome that needs no facts;
--   "-", field: one without an outcome;
--   "*", field, id of its door ("": none), attempt at the door,
--     key of the document ("": there is no outcome), document, facts, milliseconds to keep them,
--     verdict "ack", "release" (message, seconds to wait or "", list) or "reject" (letter, its id, ""), always three values,
--     key of the join ("": no seat), the member's id, index, size, value, "1" when it failed,
--     "1" when it is not to end yet,
--     how many joins are over with it, and their keys,
--     how many more values there are, and those: messages that follow, as `door.lua` reads them.
-- Answers for each 1 done, 0 refused by the fence, 2 there is a document this script cannot read, 3 not held any more;
-- what `joins.lua` says (or nothing, of no seat) where more follows that only its sender knows, because the last seat was taken
-- or because it is not to end yet: outcome and seat are written, nothing else, and the delivery is still held; 4 somebody else
-- has seen to a join that was to be over with it: nothing is written. Then what was taken, or nothing. Last: 1 when this user
-- may not publish.
--#include fence
--#include place
--#include joins
--#include door
--#include taking

local answers = {}
local asked = ARGV[2] == '1'
silent = not asked
local acquitted, held = ARGV[3], P .. 'leveret:held:' .. ARGV[4]
local before, after, milliseconds = ARGV[5], ARGV[6], ARGV[7]
local ordered, remembered = ARGV[8], ARGV[9]

-- What is stored beside the plain outcomes at the front, which are nearly all of most batches: document and facts of each, in
-- their order, from one look; and which documents this script has written since.
local stored, written = {}, {}

local function look(at, stop)
  local keys = {}
  while at <= stop and ARGV[at] == '=' do
    local key = ARGV[at + 2]
    keys[#keys + 1] = key
    keys[#keys + 1] = before .. key .. after
    at = at + 4
  end
  if #keys > 2 then stored = redis.call('MGET', unpack(keys)) end
end

-- Writes an outcome and ends the delivery (`verb`: HDEL; HEXISTS leaves it), or neither. `nth`: its place in `stored`.
local function settle(verb, field, document_key, document, facts, keep_for, nth)
  if document_key == '' then return redis.call(verb, held, field) == 1 and 1 or 3 end
  local facts_key = before .. document_key .. after
  local stood, known
  if nth and stored[2 * nth] ~= nil and not written[document_key] then
    stood, known = stored[2 * nth - 1], stored[2 * nth]
  else
    stood, known = unpack(redis.call('MGET', document_key, facts_key))
  end
  local answer = 1
  if stood or known then answer = verdict(stood, known, facts, acquitted) end
  if answer ~= 1 then return answer end
  if redis.call(verb, held, field) == 0 then return 3 end
  keep(document_key, facts_key, stood, known, document, facts, keep_for)
  written[document_key] = true
  return 1
end

-- Keeps the message of the first member that takes a seat here: its join may yet be left by somebody else.
local function remember(join, field)
  if redis.call('HEXISTS', P .. 'leveret:joins', join) == 1 then return end
  local raw = redis.call('HGET', held, field)
  if not raw then return end
  redis.call('HSET', P .. 'leveret:joins', join, string.match(field, '^%S+ (.*)$') .. '\n' .. raw)
  redis.call('ZADD', P .. 'leveret:joins:due', now() + LOOK_SECONDS, join)
end

-- Does what a verdict asks for.
local function finish(at)
  if ARGV[at] == 'release' then
    local list = ARGV[at + 3]
    if ARGV[at + 2] ~= '' then
      delay(list, ARGV[at + 1], now() + tonumber(ARGV[at + 2]))
    else
      push(redis.call, 'RPUSH', list, ARGV[at + 1])
      ring(queue_of(list), 1)
    end
  elseif ARGV[at] == 'reject' then
    local name = ARGV[at + 2]
    if redis.call('HSETNX', P .. 'leveret:dead:letters', name, ARGV[at + 1]) == 0 then
      -- Two messages of one id are two letters: ids are what anybody writes there.
      name = name .. '~' .. redis.call('INCR', P .. 'leveret:seq')
      redis.call('HSET', P .. 'leveret:dead:letters', name, ARGV[at + 1])
    end
    redis.call('ZADD', P .. 'leveret:dead', now(), name)
  end
end

-- One with a door, a seat, or anything that follows. `over`: where the joins stand that are over, `next`: what follows.
local function conclude(at, over, next)
  local door, seat, stays = ARGV[at + 2], ARGV[at + 12], ARGV[at + 18] == '1'
  for i = over + 1, over + tonumber(ARGV[over]) do
    if taken(ARGV[i]) then return 4 end
  end
  local verb = (stays or seat ~= '') and 'HEXISTS' or 'HDEL'
  local answer = settle(verb, ARGV[at + 1], ARGV[at + 4], ARGV[at + 5], ARGV[at + 6], ARGV[at + 7])
  if answer ~= 1 then return answer end
  if seat ~= '' then
    local found = sit(seat, ARGV[at + 13], ARGV[at + 14], ARGV[at + 15], ARGV[at + 16], ARGV[at + 17], ordered)
    if stays or found[3] or found[1] == 'claimed' then return found end
    if found[1] == 'open' then remember(seat, ARGV[at + 1]) end
  end
  if stays then return {} end
  if verb == 'HEXISTS' then redis.call('HDEL', held, ARGV[at + 1]) end
  if door ~= '' and redis.call('GET', P .. 'leveret:door:' .. door) == ARGV[at + 3] then
    redis.call('DEL', P .. 'leveret:door:' .. door)
  end
  finish(at + 8)
  for i = over + 1, over + tonumber(ARGV[over]) do
    fired(ARGV[i], remembered)
    forgotten(ARGV[i])
  end
  post(next + 1, next + tonumber(ARGV[next]))
  return 1
end

local at, stop = 11, #ARGV - tonumber(ARGV[10])
if stop < #ARGV then put_off = {} end
look(at, stop)
while at <= stop do
  local answer
  if ARGV[at] == '=' then
    answer = settle('HDEL', ARGV[at + 1], ARGV[at + 2], ARGV[at + 3], PLAIN, milliseconds, #answers + 1)
    at = at + 4
  elseif ARGV[at] == '-' then
    answer = settle('HDEL', ARGV[at + 1], '')
    at = at + 2
  else
    local over = at + 19
    local next = over + 1 + tonumber(ARGV[over])
    answer = conclude(at, over, next)
    at = next + 1 + tonumber(ARGV[next])
  end
  answers[#answers + 1] = answer
end
if put_off then
  local taken, came = take(stop + 1)
  local wanted = put_off
  put_off = nil
  for list, left in pairs(kept) do
    for _, raw in ipairs(left) do redis.call('LPUSH', P .. list, raw) end
  end
  for queue, count in pairs(wanted) do wake(queue, count - (came[queue] or 0)) end
  -- A refusal (somebody else's key under a queue's name) is for the next claim to tell: what is settled is settled.
  answers[#answers + 1] = taken.err and {'late'} or taken
else
  answers[#answers + 1] = {}
end
answers[#answers + 1] = asked and silent and 1 or 0
return answers
