-- Ends a session: what it had taken is anybody's. ARGV: the prefix, session.
--#include ledger/ground

even_when_full()
release(ARGV[2])
local incarnation = string.match(redis.call('HGET', FLEET .. 'sessions', ARGV[2]) or '', '^%d (.*)$')
if incarnation then
  redis.call('HDEL', FLEET .. 'sessions', ARGV[2])
  redis.call('SREM', FLEET .. 'node:' .. incarnation, ARGV[2])
end
return 1
