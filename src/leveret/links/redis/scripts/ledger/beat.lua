-- Renews a lease, and loses the nodes whose lease ran out.
-- ARGV: the prefix, incarnation, facts of the node, seconds of a lease, seconds after which a tick is old.
-- Answers {whether the lease had gone, how many nodes were lost, seconds until the next lease runs out or ""}.
--#include ledger/ground
--#include fleet

even_when_full()
local reap_from = tick(ARGV[4], ARGV[5])
local revived = renew(ARGV[2], ARGV[3], ARGV[4])
local gone = lost(reap_from)
for _, incarnation in ipairs(gone) do lose(incarnation) end
return {revived and 1 or 0, #gone, next_loss(reap_from)}
