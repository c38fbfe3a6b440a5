-- Leases of nodes and the fleet's tick. Included by scripts, after `place`, or `ledger/ground` for those that the ledger knows.

-- Notes that the store answers, and answers from when on nodes may be reaped: after a silence in which nobody could have
-- renewed, all get one lease of grace.
local function tick(lease, stale)
  local fleet = redis.call('HMGET', FLEET .. 'fleet', 'tick', 'reap_from')
  local last, reap_from = tonumber(fleet[1] or ''), tonumber(fleet[2] or '') or 0
  if not last or now() - last > tonumber(stale) then reap_from = now() + tonumber(lease) end
  redis.call('HSET', FLEET .. 'fleet', 'tick', string.format('%.6f', now()), 'reap_from', string.format('%.6f', reap_from))
  return reap_from
end

-- Renews or grants a lease; true when there was none (any more). Expired is not dead.
local function renew(incarnation, facts, lease)
  redis.call('ZADD', FLEET .. 'leases', now() + tonumber(lease), incarnation)
  return redis.call('HSET', FLEET .. 'nodes', incarnation, facts) == 1
end

-- Nodes whose lease has run out, unless it is a time of grace.
local function lost(reap_from)
  return now() >= reap_from and redis.call('ZRANGEBYSCORE', FLEET .. 'leases', '-inf', now()) or {}
end

-- Seconds until the next lease runs out, as text; "" when none does. In a time of grace those that ran out count too: they
-- are lost when it ends.
local function next_loss(reap_from)
  local after = now() < reap_from and '-inf' or '(' .. string.format('%.6f', now())
  local next = redis.call('ZRANGEBYSCORE', FLEET .. 'leases', after, '+inf', 'WITHSCORES', 'LIMIT', 0, 1)
  return next[2] and string.format('%.6f', math.max(next[2], reap_from) - now()) or ''
end
