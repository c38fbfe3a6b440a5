-- Looks at joins that have been open for a while. One whose seats are all taken, and that nobody claims, was left by a Celery
-- worker that died before it published what the join releases; it is done again by whoever gets a member's message once more.
-- ARGV: the prefix, how many at most. Answers of each that was left its key, and such a message: its list, a line feed, the
-- message as it was.
--#include place
--#include joins

even_when_full()
local left = {}
for _, base in ipairs(redis.call('ZRANGEBYSCORE', P .. 'leveret:joins:due', '-inf', now(), 'LIMIT', 0, ARGV[2])) do
  local known = redis.call('MGET', base .. '.c', base .. '.s', base .. '.t')
  local full = seats_taken(base)
  if known[1] == DONE or full == 0 then
    if known[1] then redis.call('DEL', base .. '.g') end
    forgotten(base)
  else
    redis.call('ZADD', P .. 'leveret:joins:due', now() + LOOK_SECONDS, base)
    if not known[1] and known[2] and full >= tonumber(known[2]) + tonumber(known[3] or 0) then
      local kept = redis.call('HGET', P .. 'leveret:joins', base)
      if kept then
        left[#left + 1] = base
        left[#left + 1] = kept
      end
    end
  end
end
return left
