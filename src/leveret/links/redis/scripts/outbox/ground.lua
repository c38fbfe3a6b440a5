-- The outbox: a zset of ids by when they are overdue, and what each is about to send. Included by scripts.
local OUTBOX = ARGV[1] .. 'leveret:outbox'
local KEPT_SECONDS = 86400
--#include clock
