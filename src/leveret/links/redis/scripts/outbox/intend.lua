-- Keeps what is about to be sent. ARGV: the prefix, id, messages, seconds after which anybody may send it.
--#include outbox/ground

local kept = math.ceil(tonumber(ARGV[4])) + KEPT_SECONDS
redis.call('SET', OUTBOX .. ':' .. ARGV[2], ARGV[3], 'EX', kept)
redis.call('ZADD', OUTBOX, now() + tonumber(ARGV[4]), ARGV[2])
redis.call('ZREMRANGEBYSCORE', OUTBOX, '-inf', now() - KEPT_SECONDS)
redis.call('EXPIRE', OUTBOX, kept + KEPT_SECONDS)
return 1
