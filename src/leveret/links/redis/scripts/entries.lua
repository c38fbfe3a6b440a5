-- The schedule's entries. Included by scripts, after `place`.
-- An entry is a hash. Every name stands in one sorted set by its next moment: 0 where nobody has computed it yet, +inf
-- where there is none or the entry is paused. So what is due is found without a look at what is not.
local SCHEDULE = P .. 'leveret:schedules'
local TAKEN = P .. 'leveret:schedules:taken'
local FIRES = P .. 'leveret:schedules:fires'

local function entry_key(name)
  return P .. 'leveret:schedules:entry:' .. name
end

local function runs_key(name)
  return P .. 'leveret:schedules:runs:' .. name
end

local function source_key(source)
  return P .. 'leveret:schedules:source:' .. source
end

local function stamp()
  return string.format('%.6f', now())
end

-- What Python makes a standing of.
local function facts_of(name)
  return redis.call('HMGET', entry_key(name), 'entry', 'revision', 'cursor', 'due', 'paused', 'last', 'last_moment')
end

local function rank(name, due, paused)
  redis.call('ZADD', SCHEDULE, (due == '' or paused) and '+inf' or due, name)
end

-- Answers whether there was one. What was taken of it stays: it is still sent.
local function forget(name)
  local source = redis.call('HGET', entry_key(name), 'source')
  if not source then return false end
  redis.call('SREM', source_key(source), name)
  redis.call('ZREM', SCHEDULE, name)
  redis.call('DEL', entry_key(name), runs_key(name))
  return true
end

-- Notes a run once: moment, seconds it was late, outcome and id, with tabs between them.
local function note(name, moment, late, outcome, id, kept)
  if redis.call('EXISTS', entry_key(name)) == 0 then return end
  local key = runs_key(name)
  for _, run in ipairs(redis.call('LRANGE', key, 0, -1)) do
    if string.match(run, '^[^\t]*\t[^\t]*\t[^\t]*\t(.*)$') == id then return end
  end
  redis.call('LPUSH', key, table.concat({moment, late, outcome, id}, '\t'))
  redis.call('LTRIM', key, 0, kept - 1)
end
