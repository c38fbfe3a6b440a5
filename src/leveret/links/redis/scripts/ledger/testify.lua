-- Writes down charges and suspicion. ARGV: the prefix, then for each fact the message's id and the charge, or "suspect".
--#include ledger/ground

even_when_full()
for at = 2, #ARGV, 2 do tell(ARGV[at], ARGV[at + 1]) end
return 1
