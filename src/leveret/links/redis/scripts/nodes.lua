-- The nodes whose lease is alive. ARGV: the prefix. Answers their facts.
--#include place

local alive = redis.call('ZRANGEBYSCORE', P .. 'leveret:leases', '(' .. string.format('%.6f', now()), '+inf')
if #alive == 0 then return {} end
return redis.call('HMGET', P .. 'leveret:nodes', unpack(alive))
