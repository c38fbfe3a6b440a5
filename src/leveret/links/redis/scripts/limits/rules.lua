-- The rules, as `logic/limiting` has them: each answers nil where one more may pass, else the moment to ask again, and what
-- becomes of the state when it passes. Included by `enter`, after `ground`.
local ROUNDING = 1e-5

local function ask_pace(place, interval, burst, ahead, member)
  local spare = (burst - 1) * interval
  if NOW + ROUNDING >= place.full_at - spare then
    local first = not member and any_told(place)
    local patience = math.max(math.min(1, interval) - spare, 0)
    if not (first and first <= NOW and NOW < place.full_at + patience) then
      return nil, math.max(place.full_at, NOW) + interval
    end
  end
  local turn = math.max(place.full_at - spare, NOW) + ahead * interval
  return math.min(math.max(turn, NOW + 0.01), NOW + 3600)
end

local ask = {}

function ask.rate(place, bound, ahead, member)
  return ask_pace(place, bound.a, bound.b, ahead, member)
end

local BUCKETS = 12

function ask.budget(place, bound, ahead, member)
  if not place.successes then
    local bucket, fields, sum = math.floor(NOW / 5), {}, 0
    for n = 0, BUCKETS - 1 do fields[n + 1] = string.format('%d', bucket - n) end
    for _, count in ipairs(redis.call('HMGET', P .. 'successes:' .. place.key, unpack(fields))) do
      sum = sum + tonumber(count or 0)
    end
    place.successes = sum
  end
  local pace = bound.b + bound.a * place.successes / (BUCKETS * 5)
  if pace <= 0 then return NOW + 60 end
  return ask_pace(place, 1 / pace, math.max(math.floor(pace), 1), ahead, member)
end

-- Free what the dead hold.
local function look(place)
  local held, found = redis.call('HGETALL', place.own), false
  for i = 1, #held, 2 do
    if held[i] ~= '' and place.pending[held[i]] == nil and not alive(held[i + 1]) then
      found = true
      free(place, held[i])
    end
  end
  if found then place.freed = NOW end
  place.looked, place.dirty = NOW, true
end

function ask.slots(place, bound, ahead, member, id)
  if holder(place, id) then return nil end
  local since = NOW - place.looked
  if place.held >= bound.a and not (since >= 0 and since < 0.5) then look(place) end
  local mean = place.mean ~= 0 and place.mean or 1
  local turn = mean / bound.a
  local soon = math.max(0.05, 0.1 * turn)
  if place.held < bound.a then
    if member then return nil end
    local first, patience = any_told(place), math.max(soon, math.min(0.25, mean))
    if not (first and first <= NOW + soon and NOW < place.freed + patience) then return nil end
  end
  if ahead == 0 then return NOW + math.min(soon, 60) end
  local half = math.max(0.05, turn * (ahead + 1) / 2)
  return NOW + math.min(half, math.max(place.mean ~= 0 and 60 or 0.5, ahead / 50))
end

function ask.breaker(place, bound, ahead, member, id)
  if not place.till then return nil end
  local spread = ahead * 0.002
  if NOW < place.till then return place.till + spread end
  if not place.probe or place.probe == '' or place.probe == id or not alive(place.session) then return nil, id end
  return NOW + math.min(bound.c, 1) + spread
end
