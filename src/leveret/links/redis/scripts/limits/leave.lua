-- Frees what runs held, and notes their outcomes. ARGV: the prefix, the hash of living sessions, session, bounds and sets of
-- them (`bounds_at`), how many groups of runs that have the same set, outcome and finality: of each the set, outcome, "1" if they
-- are tried no more, how many, and of each run its id and seconds; then the keys of budgets with how many runs succeeded.
--#include limits/ground
--#include limits/unique

even_when_full()
local session = ARGV[3]

local function free_slot(bound, id, seconds)
  local place = open('slots', bound.key)
  -- Another session may have it by now: then it is that one's to free.
  if holder(place, id) == session then
    free(place, id)
    if seconds > 0 then
      place.mean = place.mean > 0 and place.mean + 0.2 * (seconds - place.mean) or seconds
    end
    place.freed, place.dirty = NOW, true
  end
end

local function shut(place, till)
  place.till, place.probe, place.session, place.dirty = till, nil, nil, true
end

local function note_outcome(bound, id, outcome)
  local place, failures = open('breaker', bound.key), P .. 'failures:' .. bound.key
  if place.till then
    -- Once it is open only the probe's outcome counts: others began before.
    if place.probe ~= id then return end
    if outcome == 'success' then
      shut(place, nil)
    else
      shut(place, outcome == 'failure' and NOW + bound.c or place.till)
    end
  elseif outcome == 'failure' then
    local count = redis.call('LPUSH', failures, text(NOW))
    for _ = bound.a + 1, count do redis.call('RPOP', failures) end
    if count >= bound.a and tonumber(redis.call('LINDEX', failures, -1)) > NOW - bound.b then
      redis.call('DEL', failures)
      shut(place, NOW + bound.c)
    else
      redis.call('PEXPIRE', failures, milliseconds(bound.b))
    end
  end
end

local function end_key(bound, id, final)
  local state = known(bound.key)
  if state and final and state.started == id then
    state.started = ''
    if state.id == '' then return keep(bound.key, nil) end
    keep(bound.key, state)
  end
  if not state or state.id ~= id or (state.session ~= '' and state.session ~= session) then return end
  if final then return give_up(bound.key, state) end
  state.session = ''
  keep(bound.key, state)
end

local function leave(id, outcome, final, seconds, set)
  local waited = false
  for _, bound in ipairs(set) do
    if bound.kind == 'unique' then
      end_key(bound, id, final)
    else
      if bound.kind == 'slots' then
        free_slot(bound, id, seconds)
      elseif bound.kind == 'breaker' then
        note_outcome(bound, id, outcome)
      end
      -- Of what has run nothing waits.
      if outcome == 'none' then
        local paced = bound.kind == 'rate' or bound.kind == 'budget'
        waited = quit(open(bound.kind, bound.key, paced), id) or waited
      end
    end
  end
  if waited then forget(id) end
end

local sets, at = bounds_at(4)
local groups = tonumber(ARGV[at])
at = at + 1
for _ = 1, groups do
  local set, outcome, final = sets[tonumber(ARGV[at])], ARGV[at + 1], ARGV[at + 2] == '1'
  local last = at + 3 + 2 * tonumber(ARGV[at + 3])
  for _, bound in ipairs(set) do
    if bound.kind == 'slots' then look_up(open('slots', bound.key), at + 4, last, 2) end
  end
  for i = at + 4, last, 2 do leave(ARGV[i], outcome, final, tonumber(ARGV[i + 1]), set) end
  at = last + 1
end
close_all()

for i = at, #ARGV, 2 do
  local key, bucket = P .. 'successes:' .. ARGV[i], math.floor(NOW / 5)
  if redis.call('HINCRBY', key, string.format('%d', bucket), ARGV[i + 1]) == tonumber(ARGV[i + 1]) then
    for _, old in ipairs(redis.call('HKEYS', key)) do
      if tonumber(old) <= bucket - 12 then redis.call('HDEL', key, old) end
    end
  end
  redis.call('PEXPIRE', key, 65000)
end
return 1
