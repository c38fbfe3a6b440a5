-- Notes that the store answers: beats are too rare for it. ARGV: the prefix, seconds of a lease, seconds after which a tick
-- is old.
--#include ledger/ground
--#include fleet

even_when_full()
tick(ARGV[2], ARGV[3])
return 1
