-- The door: a message with a computed id goes in once. Included by scripts, after `fence`, `place` and `adding`.

-- Whether what is stored says that it has run: it has ended, a later attempt is known, or this one was to run again. A
-- revocation does not: it may come before the message, and whoever claims that has to end it for those behind it.
local function has_run(document_key, facts_key, attempt)
  local known = redis.call('MGET', document_key, facts_key)
  local document, facts = known[1], known[2]
  if facts then
    local stored, flags, state = string.match(facts, '^(%d+) ([TBRE-]+) %S+ %S+ %S+ (%S+)')
    if state == 'REVOKED' then return false end
    if stored and (document or string.find(flags, '[BE]')) then
      stored = tonumber(stored)
      if string.find(flags, 'T', 1, true) or stored > attempt then return true end
      if stored == attempt and string.find(flags, '[BR]') then return true end
    end
  end
  local status = document and status_of(document) or ''
  return status ~= 'REVOKED' and READY[status] or false
end

-- Puts a message in unless its id is here or has run. An earlier attempt never stands in the way of its retry.
local function admit(list, raw, due, id, attempt, document_key, facts_key)
  local key = P .. 'leveret:door:' .. id
  local there = redis.call('GET', key)
  if there and tonumber(there) >= attempt then return end
  if has_run(document_key, facts_key, attempt) then return end
  local seconds = DOOR_SECONDS
  if due ~= '' then seconds = seconds + math.max(math.ceil(tonumber(due) - now()), 0) end
  redis.call('SET', key, attempt, 'EX', seconds)
  put(list, raw, due)
end

-- Puts in what ARGV says from place `at` to place `last`, in its order:
--   "+" list count raw...   plain messages; a list's are told together
--   "/" list count raw...   the same of a lane
--   "?" list raw due id attempt document_key facts_key   one that may wait (due: unix time or ""), and that is stopped
--                                                        at the door unless its id is ""
--   "!" channel raw         one for whoever listens; the channel has its prefix
--   "^" join by id          no message: the next one is, or begins, a member that is added to a join (`grow`)
local function post(at, last)
  while at <= last do
    if ARGV[at] == '+' then
      local count = tonumber(ARGV[at + 2])
      -- Lua puts at most 8,000 values on its stack.
      for first = at + 3, at + 2 + count, put_off and 1 or 1000 do
        if put_off then
          put(ARGV[at + 1], ARGV[first], '')
        else
          redis.call('LPUSH', P .. ARGV[at + 1], unpack(ARGV, first, math.min(first + 999, at + 2 + count)))
        end
      end
      if not put_off then ring(queue_of(ARGV[at + 1]), count) end
      at = at + 3 + count
    elseif ARGV[at] == '/' then
      local count = tonumber(ARGV[at + 2])
      for first = at + 3, at + 2 + count, 1000 do
        push(redis.call, 'LPUSH', ARGV[at + 1], unpack(ARGV, first, math.min(first + 999, at + 2 + count)))
      end
      ring(queue_of(ARGV[at + 1]), count)
      at = at + 3 + count
    elseif ARGV[at] == '!' then
      redis.call('PUBLISH', ARGV[at + 1], ARGV[at + 2])
      at = at + 3
    elseif ARGV[at] == '^' then
      grow(ARGV[at + 1], ARGV[at + 2], ARGV[at + 3])
      at = at + 4
    else
      local list, raw, due, id = ARGV[at + 1], ARGV[at + 2], ARGV[at + 3], ARGV[at + 4]
      if put_off then posted[raw] = at + 2 end
      if id == '' then
        put(list, raw, due)
      else
        admit(list, raw, due, id, tonumber(ARGV[at + 5]), ARGV[at + 6], ARGV[at + 7])
      end
      at = at + 8
    end
  end
end
