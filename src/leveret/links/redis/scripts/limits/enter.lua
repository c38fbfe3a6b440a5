-- Asks for all bounds of each entry, or none. ARGV: the prefix, the hash of living sessions, session, bounds and sets of them
-- (`bounds_at`), then of each entry its id, its attempt and its set.
-- Answers "gone" where the session is not registered; else of each entry 1 (passed), {by} (superseded), or
-- {"wait" or "open", seconds, kind, key}.
--#include limits/ground
--#include limits/rules
--#include limits/unique

local session = ARGV[3]
if not alive(session) then return 'gone' end
even_when_full()

local function superseded(set, id, attempt)
  for _, bound in ipairs(set) do
    if bound.kind == 'unique' then
      local state = known(bound.key)
      local by = holder_of(state)
      local past = bound.a == 1 and (attempt > 0 or (state and state.started == id))
      if by ~= '' and by ~= id and not past then return by end
    end
  end
end

-- A slot alone can tell that it has passed already.
local function holds_all(set, id)
  local any = false
  for _, bound in ipairs(set) do
    if bound.kind == 'slots' then
      if holder(open('slots', bound.key), id) ~= session then return false end
      any = true
    end
  end
  return any
end

-- Who waits holds nothing.
local function let_go(set, id)
  for _, bound in ipairs(set) do
    if bound.kind == 'slots' then
      free(open('slots', bound.key), id)
    elseif bound.kind == 'breaker' then
      local place = open('breaker', bound.key)
      if place.till and place.probe == id then place.probe, place.session, place.dirty = nil, nil, true end
    end
  end
end

local function drop(set, id)
  for _, bound in ipairs(set) do
    if bound.kind ~= 'unique' then quit(open(bound.kind, bound.key), id) end
  end
  let_go(set, id)
  forget(id)
end

local function begin(set, id)
  for _, bound in ipairs(set) do
    local state = bound.kind == 'unique' and known(bound.key)
    if state and state.id == id then
      if bound.a == 1 then
        state = {id = '', till = now() + state.seconds, pending = false, seconds = 0, session = '', started = id}
      else
        if state.pending then state.till = now() + state.seconds end
        state.pending, state.session = false, session
      end
      keep(bound.key, state)
    end
  end
end

local function pass(asked, set, id)
  local waited = false
  for _, one in ipairs(asked) do
    local place = one.place
    if place.kind == 'slots' then
      hold(place, id, session)
    elseif place.kind == 'breaker' then
      if one.after then place.probe, place.session, place.dirty = id, session, true end
    else
      place.full_at, place.dirty = one.after, true
    end
    if one.member then waited = quit(place, id) or waited end
  end
  begin(set, id)
  if waited then forget(id) end
  return 1
end

local function wait(asked, told, set, id)
  for _, one in ipairs(asked) do
    if one.till or one.member then join(one.place, id, told.till, one.member) end
  end
  let_go(set, id)
  note(id, told.place, told.till, told.ahead)
  for _, one in ipairs(asked) do
    if one.till and one.place.kind == 'breaker' then
      return {'open', text(told.till - now()), 'breaker', one.place.key}
    end
  end
  return {'wait', text(told.till - now()), told.place.kind, told.place.key}
end

local function enter(id, attempt, set)
  local by = superseded(set, id, attempt)
  if by then
    drop(set, id)
    return {by}
  end
  if holds_all(set, id) then return 1 end
  local asked, told = {}, nil
  for _, bound in ipairs(set) do
    if bound.kind ~= 'unique' and (bound.kind ~= 'budget' or attempt > 0) then
      local one = {place = open(bound.kind, bound.key)}
      one.ahead, one.member = standing(one.place, id)
      one.till, one.after = ask[bound.kind](one.place, bound, one.ahead, one.member, id)
      asked[#asked + 1] = one
      if one.till and (not told or one.till > told.till) then told = one end
    end
  end
  if told then return wait(asked, told, set, id) end
  return pass(asked, set, id)
end

local sets, at = bounds_at(4)
local answers = {}
for i = at, #ARGV, 3 do
  answers[#answers + 1] = enter(ARGV[i], tonumber(ARGV[i + 1]), sets[tonumber(ARGV[i + 2])])
end
close_all()
return answers
