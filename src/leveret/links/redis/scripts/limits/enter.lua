-- Asks for all bounds of each entry, or none. ARGV: the prefix, the hash of living sessions, session, bounds and sets of them
-- (`bounds_at`), then of entries that follow one another and have the same set: that set, "1" if they are retries, how many, and
-- their ids.
-- Answers "gone" where the session is not registered, 1 where all have passed; else of each entry 1 (passed), {by}
-- (superseded), or {"wait" or "open", seconds, kind, key}.
--#include limits/ground
--#include limits/rules
--#include limits/unique

local session = ARGV[3]
if not alive(session) then return 'gone' end
even_when_full()

local function superseded(set, id, retry)
  for _, bound in ipairs(set) do
    if bound.kind == 'unique' then
      local state = known(bound.key)
      local by = holder_of(state)
      local past = bound.a == 1 and (retry or (state and state.started == id))
      if by ~= '' and by ~= id and not past then return by end
    end
  end
end

-- A slot alone can tell that it has passed already.
local function holds_all(set, id)
  for _, bound in ipairs(set) do
    if bound.kind == 'slots' and holder(open('slots', bound.key), id) ~= session then return false end
  end
  return true
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
        state = {id = '', till = NOW + state.seconds, pending = false, seconds = 0, session = '', started = id}
      else
        if state.pending then state.till = NOW + state.seconds end
        state.pending, state.session = false, session
      end
      keep(bound.key, state)
    end
  end
end

local function take(place, id, after)
  if place.kind == 'slots' then
    if not holder(place, id) then place.held = place.held + 1 end
    place.pending[id] = session
  elseif place.kind == 'breaker' then
    if after then place.probe, place.session, place.dirty = id, session, true end
  else
    place.full_at, place.dirty = after, true
  end
end

local function pass(asked, set, id)
  local waited = false
  for _, one in ipairs(asked) do
    take(one.place, id, one.after)
    if one.member then waited = quit(one.place, id) or waited end
  end
  if set.unique then begin(set, id) end
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
      return {'open', text(told.till - NOW), 'breaker', one.place.key}
    end
  end
  return {'wait', text(told.till - NOW), told.place.kind, told.place.key}
end

local function enter(id, retry, set)
  local by = set.unique and superseded(set, id, retry)
  if by then
    drop(set, id)
    return {by}
  end
  if set.slots and holds_all(set, id) then return 1 end
  local asked, told = {}, nil
  for _, bound in ipairs(set) do
    if bound.kind ~= 'unique' and (bound.kind ~= 'budget' or retry) then
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

-- As `enter` has it, for one bound where nobody waits: most that come are such. Answers nil where it is not so simple.
local function enter_lone(id, place, bound)
  if place.length > 0 or (place.kind == 'slots' and holder(place, id)) then return nil end
  local till, after = ask[bound.kind](place, bound, 0, false, id)
  if till then return nil end
  take(place, id, after)
  return 1
end

local sets, at = bounds_at(4)
local answers, all = {}, true
while at < #ARGV do
  local set, retry, last = sets[tonumber(ARGV[at])], ARGV[at + 1] == '1', at + 2 + tonumber(ARGV[at + 2])
  local lone = #set == 1 and not set.unique and not set.budget and set[1]
  local place = lone and open(lone.kind, lone.key)
  for _, bound in ipairs(set) do
    if bound.kind == 'slots' then look_up(open('slots', bound.key), at + 3, last, 1) end
  end
  for i = at + 3, last do
    local answer = lone and enter_lone(ARGV[i], place, lone) or enter(ARGV[i], retry, set)
    answers[#answers + 1] = answer
    all = all and answer == 1
  end
  at = last + 1
end
close_all()
if all then return 1 end
return answers
