-- Takes messages out of the lanes of a list, for nobody. ARGV: the prefix, the list, how many at most. Answers them.
--#include place
--#include turns

local gone = {}
if redis.call('HEXISTS', P .. 'leveret:lanes', ARGV[2]) == 1 then
  take_turns(ARGV[2], tonumber(ARGV[3]), function() end, function(_, raw) gone[#gone + 1] = raw end)
end
return gone
