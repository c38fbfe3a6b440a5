-- Unique keys: one hash each. Included after `ground`; `logic/limiting/unique.py` says what is meant.

local function key_of(key)
  return P .. 'unique:' .. key
end

local function known(key)
  local found = redis.call('HMGET', key_of(key), 'id', 'until', 'pending', 'seconds', 'session', 'started')
  if not found[1] then return nil end
  return {
    id = found[1], till = tonumber(found[2]), pending = found[3] == '1', seconds = tonumber(found[4]),
    session = found[5], started = found[6],
  }
end

local function keep(key, state)
  if not state then
    redis.call('DEL', key_of(key))
    return
  end
  redis.call('HSET', key_of(key), 'id', state.id, 'until', text(state.till), 'pending', state.pending and '1' or '0',
    'seconds', text(state.seconds), 'session', state.session, 'started', state.started)
  local kept = state.till - NOW + (state.pending and KEPT_SECONDS or 0)
  redis.call('PEXPIRE', key_of(key), milliseconds(kept))
end

local function holder_of(state)
  return state and state.till > NOW and state.id or ''
end

local function give_up(key, state)
  if state.started == '' then return keep(key, nil) end
  keep(key, {id = '', till = state.till, pending = false, seconds = 0, session = '', started = state.started})
end
