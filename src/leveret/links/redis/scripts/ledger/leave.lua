-- A node stops in order: what its sessions had taken is anybody's. ARGV: the prefix, incarnation.
--#include ledger/ground

even_when_full()
for _, session in ipairs(redis.call('SMEMBERS', FLEET .. 'node:' .. ARGV[2])) do release(session) end
lose(ARGV[2])
return 1
