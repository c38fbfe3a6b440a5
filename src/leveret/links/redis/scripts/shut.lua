-- Begins to close a session: it takes nothing any more.
-- ARGV: the prefix, session. Answers {its facts (nil: it is gone already), field, message ...} of all it holds.
--#include place

local facts = redis.call('HGET', P .. 'leveret:sessions', ARGV[2])
if not facts then return {} end
redis.call('HDEL', P .. 'leveret:claims', ARGV[2])
redis.call('ZADD', P .. 'leveret:closing', now(), ARGV[2])
local answer = {facts}
for _, value in ipairs(redis.call('HGETALL', P .. 'leveret:held:' .. ARGV[2])) do answer[#answer + 1] = value end
return answer
