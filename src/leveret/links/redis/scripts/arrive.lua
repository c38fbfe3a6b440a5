-- Takes seats in joins.
-- KEYS: the hash of each seat's join. ARGV: milliseconds to keep a join that is over ("0": for ever), then for each seat
-- its index, the join's size, the value, and "1" when it failed.
-- Answers for each seat nil while its join is not complete, else the whole hash.
--#include seats

local answers = {}
for i, key in ipairs(KEYS) do
  answers[i] = sit(key, ARGV[4 * i - 2], ARGV[4 * i - 1], ARGV[4 * i], ARGV[1], ARGV[4 * i + 1])
end
return answers
