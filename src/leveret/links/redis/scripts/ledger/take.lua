-- Lets go of runs that have ended, and takes others, unless somebody alive has them.
-- ARGV: the prefix, session, how many have ended, attempt and id of each, then attempt and id of each to take.
-- Answers for each to take: 0 nobody had it and nothing is told of it; {its holder}; {"", "1" where its holder vanished, and
-- what is told of it: fact, number ...}.
--#include ledger/ground

local session, first = ARGV[2], 4 + 2 * tonumber(ARGV[3])
local held = FLEET .. 'held:' .. session
if first > 4 then even_when_full() end
for at = 4, first - 1, 2 do
  local run = ARGV[at] .. ':' .. ARGV[at + 1]
  if redis.call('GET', FLEET .. 'run:' .. run) == session then redis.call('DEL', FLEET .. 'run:' .. run) end
  redis.call('SREM', held, run)
end
if first > #ARGV then return {} end

local any_told = redis.call('EXISTS', FLEET .. 'told') == 1

local function standing(id, vanished)
  if not any_told and not vanished then return 0 end
  local answer = redis.call('HGETALL', told_of(id))
  if #answer == 0 and not vanished then return 0 end
  table.insert(answer, 1, vanished and '1' or '')
  table.insert(answer, 1, '')
  return answer
end

-- Of a session that is not announced (again) nobody would see the end: its runs are forgotten after a while.
local known = redis.call('HEXISTS', FLEET .. 'sessions', session) == 1

local function write(key, ...)
  if known then return redis.call('SET', key, session, ...) end
  return redis.call('SET', key, session, 'EX', KEPT_SECONDS, ...)
end

local answers = {}
for at = first, #ARGV, 2 do
  local run, vanished = ARGV[at] .. ':' .. ARGV[at + 1], false
  local key = FLEET .. 'run:' .. run
  local holder = not write(key, 'NX') and redis.call('GET', key)
  if holder and holder ~= session then
    vanished = redis.call('HEXISTS', FLEET .. 'sessions', holder) == 0
    if vanished then write(key) end
  end
  if holder and holder ~= session and not vanished then
    answers[#answers + 1] = {holder}
  else
    redis.call('SADD', held, run)
    answers[#answers + 1] = standing(ARGV[at + 1], vanished)
  end
end
if not known then redis.call('EXPIRE', held, KEPT_SECONDS) end
return answers
