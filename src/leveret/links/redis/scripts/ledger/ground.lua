-- The ledger's keys, and what several of its verbs do with them. Included by scripts, before `fleet`.
-- `FLEET` is what all its names begin with. A run is named `attempt:id`.
local FLEET = ARGV[1] .. 'leveret:ledger:'
local KEPT_SECONDS = 86400
--#include clock

-- As in `place`: what ends work frees more than it takes.
local function even_when_full()
  redis.call('ZREM', FLEET .. 'leases', '')
end

local function told_of(id)
  return FLEET .. 'told:' .. id
end

-- Writes one charge, or "suspect", beside what is known of a message; each once, and numbered in their order. The key
-- `told` says whether anything is known of any message: it lives longer than all that is.
local function tell(id, fact)
  local key = told_of(id)
  redis.call('HSETNX', key, fact, redis.call('HLEN', key))
  redis.call('EXPIRE', key, KEPT_SECONDS)
  redis.call('SET', FLEET .. 'told', '1', 'EX', KEPT_SECONDS + 60)
end

local function charge_lost(run, session)
  local at = string.format('%.6f', now())
  local charge = '{"reason":"node lost","at":' .. at .. ',"session":' .. cjson.encode(session) .. '}'
  tell(string.match(run, '^%d+:(.*)$'), charge)
end

-- Lets go of all that a session has.
local function release(session)
  local held = FLEET .. 'held:' .. session
  for _, run in ipairs(redis.call('SMEMBERS', held)) do
    if redis.call('GET', FLEET .. 'run:' .. run) == session then redis.call('DEL', FLEET .. 'run:' .. run) end
  end
  redis.call('DEL', held)
end

-- What a session that vanished had taken stays written for a while, under a session that is no more. What one had taken in
-- quarantine, alone, is convicted.
local function lose_session(session)
  local held = FLEET .. 'held:' .. session
  local quarantine = string.sub(redis.call('HGET', FLEET .. 'sessions', session) or '', 1, 1) == '1'
  for _, run in ipairs(redis.call('SMEMBERS', held)) do
    if redis.call('GET', FLEET .. 'run:' .. run) == session then
      if quarantine then charge_lost(run, session) end
      redis.call('EXPIRE', FLEET .. 'run:' .. run, KEPT_SECONDS)
    end
  end
  redis.call('DEL', held)
  redis.call('HDEL', FLEET .. 'sessions', session)
end

-- Forgets a node and its sessions.
local function lose(incarnation)
  for _, session in ipairs(redis.call('SMEMBERS', FLEET .. 'node:' .. incarnation)) do lose_session(session) end
  redis.call('DEL', FLEET .. 'node:' .. incarnation)
  redis.call('ZREM', FLEET .. 'leases', incarnation)
  redis.call('HDEL', FLEET .. 'nodes', incarnation)
end
