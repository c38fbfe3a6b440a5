-- Notes runs of the schedule as sent. ARGV: the prefix, how many runs to keep of each entry, then of each run the member
-- of its fire, the entry's name, moment, outcome and id.
--#include place
--#include entries

for at = 3, #ARGV, 5 do
  redis.call('ZREM', TAKEN, ARGV[at])
  redis.call('HDEL', FIRES, ARGV[at])
  local late = string.format('%.6f', math.max(now() - tonumber(ARGV[at + 2]), 0))
  note(ARGV[at + 1], ARGV[at + 2], late, ARGV[at + 3], ARGV[at + 4], tonumber(ARGV[2]))
end
return 1
