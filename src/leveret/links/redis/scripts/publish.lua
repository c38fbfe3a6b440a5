-- Publishes messages, all or none.
-- ARGV: the prefix, the name of this call ("": it is not sent again), then messages as `door.lua` reads them.
-- Answers 1, or 0 where a call of that name was here in the last minute: this is the same, sent again.
--#include fence
--#include place
--#include adding
--#include door

if ARGV[2] ~= '' and not redis.call('SET', P .. 'leveret:call:' .. ARGV[2], '', 'NX', 'EX', 60) then return 0 end
post(3, #ARGV)
return 1
