-- Takes seats in joins.
-- KEYS: of each seat its join. ARGV: "1" to keep values in order, then for each seat the member's id, its index, the join's
-- size, the value, and "1" when it failed.
-- Answers for each seat what `joins.lua` does.
--#include joins

local answers = {}
for i, key in ipairs(KEYS) do
  answers[i] = sit(key, ARGV[5 * i - 3], ARGV[5 * i - 2], ARGV[5 * i - 1], ARGV[5 * i], ARGV[5 * i + 1], ARGV[1])
end
return answers
