-- Leases of nodes and the fleet's tick. Included by scripts, after `place`.

-- Notes that the store answers, and answers from when on nodes may be reaped: after a silence in which nobody could have
-- renewed, all get one lease of grace.
local function tick(lease, stale)
  local fleet = redis.call('HMGET', P .. 'leveret:fleet', 'tick', 'reap_from')
  local last, reap_from = tonumber(fleet[1] or ''), tonumber(fleet[2] or '') or 0
  if not last or now() - last > tonumber(stale) then reap_from = now() + tonumber(lease) end
  redis.call('HSET', P .. 'leveret:fleet', 'tick', string.format('%.6f', now()), 'reap_from', string.format('%.6f', reap_from))
  return reap_from
end

-- Renews or grants a lease; true when there was none (any more). Expired is not dead.
local function renew(incarnation, facts, lease)
  redis.call('ZADD', P .. 'leveret:leases', now() + tonumber(lease), incarnation)
  return redis.call('HSET', P .. 'leveret:nodes', incarnation, facts) == 1
end
