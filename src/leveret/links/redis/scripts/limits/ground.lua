-- What is kept of the limits, and how it is read and written; the rules are `rules`, and `logic/limiting` in Python, which
-- these must agree with. Included by scripts whose ARGV begins with the prefix and the name of the hash of living sessions.
local P = ARGV[1] .. 'leveret:limit:'
local SESSIONS = ARGV[1] .. ARGV[2]
local INDEX = ARGV[1] .. 'leveret:limits'
local OVERDUE_SECONDS = 60
local KEPT_SECONDS = 3600
--#include clock
local NOW = now()

-- As in `place`: what ends work, or begins it, frees more than it takes.
local function even_when_full()
  redis.call('ZREM', INDEX .. ':none', '')
end

-- A number that reads back as the same.
local function text(number)
  return string.format('%.17g', number)
end

local function milliseconds(seconds)
  return string.format('%.0f', math.max(math.ceil(seconds * 1000), 1))
end

local living = {}

local function alive(session)
  if living[session] == nil then living[session] = redis.call('HEXISTS', SESSIONS, session) == 1 end
  return living[session]
end

-- Of each key what this script knows: read once, written at the end (`close_all`).
local places, opened = {}, {}

local function any_told(place)
  if place.stale then
    local first = place.length > 0 and redis.call('ZRANGE', place.told, 0, 0, 'WITHSCORES') or {}
    place.first, place.stale = tonumber(first[2]), false
  end
  return place.first
end

-- Those who are overdue have lost their place.
local function prune(place)
  local first = any_told(place)
  while first and first < NOW - OVERDUE_SECONDS do
    local late = redis.call('ZRANGEBYSCORE', place.told, '-inf', '(' .. text(NOW - OVERDUE_SECONDS), 'LIMIT', 0, 100)
    redis.call('ZREM', place.told, unpack(late))
    place.length = place.length - redis.call('ZREM', place.line, unpack(late))
    place.stale = true
    first = any_told(place)
  end
end

local read = {}

function read.rate(place)
  place.full_at = tonumber(redis.call('GET', place.own) or 0)
end

read.budget = read.rate

function read.slots(place)
  local facts = redis.call('HGET', place.own, '')
  place.mean, place.freed, place.looked, place.pending, place.seen = 0, 0, 0, {}, {}
  place.known = facts and true
  place.held = redis.call('HLEN', place.own)
  if facts then
    local mean, freed, looked = string.match(facts, '^(%S+) (%S+) (%S+)$')
    place.mean, place.freed, place.looked = tonumber(mean), tonumber(freed), tonumber(looked)
    place.held = place.held - 1
  end
  place.shown = place.held > 0
  place.empty = not place.shown
end

function read.breaker(place)
  local facts = redis.call('GET', place.own)
  if facts then
    local till, session, probe = string.match(facts, '^(%S+) (%S+) (.*)$')
    place.till, place.session, place.probe = tonumber(till), session, probe
    place.shown = true
  end
end

-- `line_only`: nothing is asked of it but who waits.
local function open(kind, key, line_only)
  local name = kind .. ':' .. key
  local place = places[name]
  if place then return place end
  place = {kind = kind, key = key, own = P .. name, line = P .. 'line:' .. name, told = P .. 'told:' .. name}
  place.length = redis.call('ZCARD', place.line)
  place.stale = true
  if place.length > 0 then prune(place) end
  if not line_only then read[kind](place) end
  place.shown = place.shown or place.length > 0
  places[name] = place
  opened[#opened + 1] = place
  return place
end

-- Its place among those who wait, and whether it is one of them.
local function standing(place, id)
  if place.length == 0 then return 0, false end
  local rank = redis.call('ZRANK', place.line, id)
  if rank then return rank, true end
  return place.length, false
end

local function join(place, id, till, member)
  if not member then
    if not place.last then
      local last = place.length > 0 and redis.call('ZRANGE', place.line, -1, -1, 'WITHSCORES') or {}
      place.last = tonumber(last[2] or 0)
    end
    place.last = place.last + 1
    place.length = place.length + redis.call('ZADD', place.line, place.last, id)
  end
  redis.call('ZADD', place.told, text(till), id)
  place.stale, place.moved = true, true
end

local function quit(place, id)
  if place.length == 0 or redis.call('ZREM', place.line, id) == 0 then return false end
  redis.call('ZREM', place.told, id)
  place.length = place.length - 1
  place.stale = true
  return true
end

-- Slots

-- Looks up at once who of ARGV's ids holds a slot: from `first` to `last`, each `step`th.
local function look_up(place, first, last, step)
  if place.empty then return end
  local ids = {}
  for i = first, last, step do ids[#ids + 1] = ARGV[i] end
  for n, session in ipairs(redis.call('HMGET', place.own, unpack(ids))) do place.seen[ids[n]] = session end
end

local function holder(place, id)
  local session = place.pending[id]
  if session ~= nil then return session end
  if place.empty then return false end
  session = place.seen[id]
  if session == nil then
    session = redis.call('HGET', place.own, id)
    place.seen[id] = session
  end
  return session
end

local function free(place, id)
  if not holder(place, id) then return false end
  place.held = place.held - 1
  place.pending[id] = false
  return true
end

-- What is kept of why something waits. Not of what passes at once.

local function note(id, place, till, ahead)
  local facts = place.kind .. ' ' .. text(till) .. ' ' .. text(NOW) .. ' ' .. ahead .. ' ' .. place.key
  redis.call('SET', P .. 'why:' .. id, facts, 'PX', milliseconds(till - NOW + OVERDUE_SECONDS))
end

local function forget(id)
  redis.call('DEL', P .. 'why:' .. id)
end

-- At the end

local write = {}

function write.rate(place)
  if place.dirty then
    redis.call('SET', place.own, text(place.full_at), 'PX', milliseconds(place.full_at - NOW + 1))
  end
  return false
end

write.budget = write.rate

function write.slots(place)
  local held, gone = {}, {}
  for id, session in pairs(place.pending) do
    if session then
      held[#held + 1] = id
      held[#held + 1] = session
    else
      gone[#gone + 1] = id
    end
    if #held > 1000 then
      redis.call('HSET', place.own, unpack(held))
      held = {}
    end
  end
  for i = 1, #gone, 1000 do redis.call('HDEL', place.own, unpack(gone, i, math.min(i + 999, #gone))) end
  if place.dirty or (#held > 0 and not place.known) then
    held[#held + 1] = ''
    held[#held + 1] = text(place.mean) .. ' ' .. text(place.freed) .. ' ' .. text(place.looked)
  end
  if #held > 0 then redis.call('HSET', place.own, unpack(held)) end
  if place.held == 0 then
    -- Nothing of it lives for ever but what is held.
    if #held > 0 or #gone > 0 then redis.call('PEXPIRE', place.own, milliseconds(KEPT_SECONDS)) end
  elseif not place.shown or not place.known then
    redis.call('PERSIST', place.own)
  end
  return place.held > 0
end

function write.breaker(place)
  if place.dirty then
    if place.till then
      local facts = text(place.till) .. ' ' .. (place.session or '-') .. ' ' .. (place.probe or '')
      redis.call('SET', place.own, facts, 'PX', milliseconds(place.till - NOW + KEPT_SECONDS))
    else
      redis.call('DEL', place.own)
    end
  end
  return place.till and true
end

-- One of those that are shown, any: whether there is something behind it still. Sessions die, and lines run dry, of keys that
-- nobody asks for again.
local function sweep()
  local name = redis.call('SPOP', INDEX)
  if not name then return end
  local kind, own = string.match(name, '^[^:]+'), P .. name
  local there = redis.call('ZCARD', P .. 'line:' .. name) > 0 or (kind == 'breaker' and redis.call('EXISTS', own) == 1)
  if kind == 'slots' and not there then
    local held = redis.call('HGETALL', own)
    for i = 1, #held, 2 do there = there or (held[i] ~= '' and alive(held[i + 1])) end
    if not there then redis.call('DEL', own) end
  end
  if there then redis.call('SADD', INDEX, name) end
end

local function close_all()
  for _, place in ipairs(opened) do
    local shown = write[place.kind](place) or place.length > 0
    if place.moved and place.length > 0 then
      local last = redis.call('ZRANGE', place.told, -1, -1, 'WITHSCORES')
      local kept = milliseconds(math.max(last[2] - NOW, 0) + OVERDUE_SECONDS + 1)
      redis.call('PEXPIRE', place.line, kept)
      redis.call('PEXPIRE', place.told, kept)
    end
    if shown and not place.shown then
      if math.floor(NOW * 1000) % 16 == 0 then sweep() end
      redis.call('SADD', INDEX, place.kind .. ':' .. place.key)
    elseif place.shown and not shown then
      redis.call('SREM', INDEX, place.kind .. ':' .. place.key)
    end
  end
end

-- Bounds and what wants them, as the verbs write them: how many bounds, kind, key and three numbers of each; how many sets of
-- bounds, how many each has, and which. Answers the sets, and the place in ARGV after them.
local function bounds_at(at)
  local bounds, sets = {}, {}
  local count = tonumber(ARGV[at])
  at = at + 1
  for i = 1, count do
    bounds[i] = {
      kind = ARGV[at], key = ARGV[at + 1],
      a = tonumber(ARGV[at + 2]), b = tonumber(ARGV[at + 3]), c = tonumber(ARGV[at + 4]),
    }
    at = at + 5
  end
  count = tonumber(ARGV[at])
  at = at + 1
  for i = 1, count do
    local set = {}
    for n = 1, tonumber(ARGV[at]) do
      local bound = bounds[tonumber(ARGV[at + n])]
      set[n] = bound
      set[bound.kind] = bound
    end
    at = at + 1 + #set
    sets[i] = set
  end
  return sets, at
end
