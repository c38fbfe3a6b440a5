-- Members that are added to a join while others run. Included by scripts; the keys of a join are told of in `joins.lua`.
-- Besides them base.g has the places of those that were added here, by their ids: their values stand by these, behind all others.
local CLOSED = 'leveret closed'
local ADDED = 1073741824  -- the index of their seats (`model/settlement.py`)
local ADDED_MILLISECONDS = 30 * 86400000

-- The place of one that was added; it is counted here unless it has been.
local function place_of(base, id)
  local place = redis.call('HGET', base .. '.g', id)
  if place then return place end
  place = redis.call('INCR', base .. '.t')
  redis.call('HSET', base .. '.g', id, place)
  -- A Celery worker that publishes what the join releases leaves it behind.
  redis.call('PEXPIRE', base .. '.g', ADDED_MILLISECONDS)
  return place
end

-- Counts one that is added by the member whose seat is `by`. Answers false when that seat is taken, or the join over: nobody
-- waits for it then. Where a member has failed nobody does either, which is no concern of those that run.
local function grow(base, by, id)
  if redis.call('EXISTS', base .. '.c') == 1 then return false end
  if redis.call('SISMEMBER', base .. '.d', CLOSED) == 1 or redis.call('HEXISTS', base .. '.g', id) == 1 then return true end
  if redis.call('SISMEMBER', base .. '.d', by) == 1 then return false end
  place_of(base, id)
  return true
end
