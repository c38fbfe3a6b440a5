-- The nodes whose lease is alive. ARGV: the prefix. Answers their facts.
--#include ledger/ground

local alive = redis.call('ZRANGEBYSCORE', FLEET .. 'leases', '(' .. string.format('%.6f', now()), '+inf')
if #alive == 0 then return {} end
return redis.call('HMGET', FLEET .. 'nodes', unpack(alive))
