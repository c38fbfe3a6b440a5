-- Takes seats in joins by Celery 5.7's keys and rules, so that its workers and ours sit in the same ones. Included by scripts.
-- Of a join's key (`base`), base.j has the values by index, base.s the size, base.t how many `add_to_chord` added, base.d the
-- seats that are taken, base.c "done", or the token of the Celery worker that publishes what the join releases.
-- We never claim: a process of ours that dies may be followed by a Celery worker, which would leave the join to our claim.
-- What follows is published in one step with "done" (`fired`); until then whoever comes finds the join complete.
local DONE, FAILED = 'done', ':failed'
--#include adding

-- Celery keeps the values in a sorted set, or in a list (`result_chord_ordered=False`): one command for each.

local function seated(base, index, value, ordered)
  local key = base .. '.j'
  if ordered == '1' then
    if type(redis.pcall('ZADD', key, index, value)) == 'table' then redis.call('RPUSH', key, value) end
  elseif type(redis.pcall('RPUSH', key, value)) == 'table' then
    redis.call('ZADD', key, index, value)
  end
end

local function seats_taken(base)
  local count = redis.pcall('ZCARD', base .. '.j')
  return type(count) == 'table' and redis.call('LLEN', base .. '.j') or count
end

local function values_of(base)
  local values = redis.pcall('ZRANGE', base .. '.j', 0, -1)
  return values.err and redis.call('LRANGE', base .. '.j', 0, -1) or values
end

-- Celery gives an open join a day, all of its keys at once; here it waits for as long as it takes.
local function without_deadline(base, sized)
  if redis.call('PERSIST', base .. (sized and '.s' or '.j')) == 1 then
    for _, key in ipairs({'.j', '.t', '.d'}) do redis.call('PERSIST', base .. key) end
  end
end

-- Takes the seat of a member that failed. Answers whether it was somebody's who succeeded.
local function lost(base, seat, index, value, ordered)
  if index == '-1' then
    redis.call('SADD', base .. '.d', CLOSED)
  elseif redis.call('SADD', base .. '.d', seat) == 1 then
    redis.call('SADD', base .. '.d', seat .. FAILED, CLOSED)
    seated(base, index, value, ordered)
  else
    return redis.call('SISMEMBER', base .. '.d', seat .. FAILED) == 0
  end
  return false
end

-- Whether this seat has to see to it that a join in which a member failed is told of: one does, which Celery's workers do not
-- see. When it has not for ten seconds, the next one does.
local function tells(base, seat)
  local teller = redis.call('GET', base .. '.l')
  if not teller then redis.call('SET', base .. '.l', seat, 'PX', 10000) end
  return not teller or teller == seat
end

-- Answers {"open"}, {"over"} where there is nothing to do any more, {"claimed"} where somebody else is about to do it, or
-- {"complete" or "closed" (a member failed), what Celery's client says of the header's shape, the values of all seats}: of one
-- that is closed and not full no values. The first value of a seat wins. A size of "0" is not known here; an index of -1 is
-- no member's.
local function sit(base, id, index, size, value, failed, ordered)
  local known = redis.call('MGET', base .. '.c', base .. '.s', base .. '.t')
  local claim, wanted, more = known[1], known[2], known[3]
  if claim then return {claim == DONE and 'over' or 'claimed'} end
  local seat = id .. ':' .. index
  local full = seats_taken(base)
  if not wanted and size ~= '0' then
    -- A Celery worker that has failed the body leaves the values and takes the size away.
    if full >= tonumber(size) then return {'over'} end
    wanted = size
    redis.call('SET', base .. '.s', size)
    without_deadline(base)
  end
  if tonumber(index) == ADDED then
    index = string.format('%.0f', ADDED + place_of(base, id))
    more = redis.call('GET', base .. '.t')
  end
  local total = wanted and tonumber(wanted) + tonumber(more or 0)
  if failed ~= '1' then
    if redis.call('SADD', base .. '.d', seat) == 1 then
      seated(base, index, value, ordered)
      full = full + 1
    end
  elseif index ~= '-1' or not total or full < total then
    if lost(base, seat, index, value, ordered) and not (total and full >= total) then return {'over'} end
    if index ~= '-1' then full = seats_taken(base) end
  end
  without_deadline(base, known[2])
  local open = not total or full < total
  if open and failed ~= '1' then return {'open'} end
  local closed = redis.call('SISMEMBER', base .. '.d', CLOSED) == 1
  if open then
    if not closed then return {'open'} end
    return {tells(base, seat) and 'closed' or 'over'}
  end
  if closed and not tells(base, seat) then return {'claimed'} end
  local values = values_of(base)
  return {closed and 'closed' or 'complete', redis.call('GET', base) or '', values}
end

-- Whether somebody else has seen to what it releases.
local function taken(base)
  return redis.call('EXISTS', base .. '.c') == 1
end

-- What it released is published: whoever still arrives, here or at a Celery worker, finds it over.
local function fired(base, milliseconds)
  if taken(base) then return end
  redis.call('DEL', base .. '.j', base .. '.t', base .. '.s', base .. '.d', base .. '.l', base .. '.g')
  redis.call('SET', base .. '.c', DONE, 'PX', milliseconds)
end
