-- Takes seats in joins by Celery 5.7's keys and rules, so that its workers and ours sit in the same ones. Included by scripts.
-- Of a join's key (`base`), base.j has the values by index, base.s the size, base.t how many `add_to_chord` added, base.d the
-- seats that are taken, base.c who publishes what the join releases: nobody yet, a Celery worker (its token, for a while), we,
-- or "done". Our claim has no deadline: the delivery that took the seat is held until what follows is published.
local OURS, CLOSED, DONE = 'leveret', 'leveret closed', 'done'

-- One command where Celery keeps the values in a sorted set, another where it keeps them in a list (`result_chord_ordered`).
local function either(first, second)
  local answer = redis.pcall(unpack(first))
  if type(answer) == 'table' and answer.err then return redis.call(unpack(second)) end
  return answer
end

local function complete(base)
  local values = either({'ZRANGE', base .. '.j', 0, -1}, {'LRANGE', base .. '.j', 0, -1})
  return {'complete', redis.call('GET', base) or '', values}
end

local function seated(base, index, value, ordered)
  local place, push = {'ZADD', base .. '.j', index, value}, {'RPUSH', base .. '.j', value}
  if ordered == '1' then either(place, push) else either(push, place) end
end

-- Answers {"open"}, {"closed"} once a seat has failed, {"over"} where there is nothing to do any more, or {"complete", what
-- Celery's client says of the header's shape, the values}. The first value of a seat wins; a failed one closes the join. A size
-- of "0" is not known here.
local function sit(base, id, index, size, value, failed, ordered)
  local known = redis.call('MGET', base .. '.c', base .. '.s', base .. '.t')
  local claim, wanted = known[1], known[2]
  if claim == DONE then return {'over'} end
  if claim == CLOSED then return {'closed'} end
  if claim == OURS then return complete(base) end
  if claim then return {'open'} end
  if not wanted and size ~= '0' then
    wanted = size
    redis.call('SET', base .. '.s', size)
  end
  local seat = id .. ':' .. index
  if failed == '1' then
    if redis.call('SISMEMBER', base .. '.d', seat) == 1 then return {'over'} end
    redis.call('SET', base .. '.c', CLOSED)
    return {'closed'}
  end
  if redis.call('SADD', base .. '.d', seat) == 1 then seated(base, index, value, ordered) end
  -- Celery gives an open join a day; here it waits for as long as it takes.
  if redis.call('PERSIST', base .. '.j') == 1 then
    redis.call('PERSIST', base .. '.t')
    redis.call('PERSIST', base .. '.d')
  end
  redis.call('PERSIST', base .. '.s')
  local taken = either({'ZCARD', base .. '.j'}, {'LLEN', base .. '.j'})
  if not wanted or taken < tonumber(wanted) + tonumber(known[3] or 0) then return {'open'} end
  redis.call('SET', base .. '.c', OURS)
  return complete(base)
end

-- What it released is published: whoever still arrives, here or at a Celery worker, finds it over.
local function fired(base, milliseconds)
  local claim = redis.call('GET', base .. '.c')
  if claim ~= OURS and claim ~= CLOSED then return end
  redis.call('DEL', base .. '.j', base .. '.t', base .. '.s', base .. '.d')
  redis.call('SET', base .. '.c', DONE, 'PX', milliseconds)
end
