-- Takes seats in joins.
-- KEYS: the hash of each seat's join. ARGV: milliseconds to keep a complete join ("0": for ever), then for each seat its
-- index, the join's size and the value.
-- Answers for each seat nil while its join is open, else the whole hash.
--#include seats

local answers = {}
for i, key in ipairs(KEYS) do
  answers[i] = sit(key, ARGV[3 * i - 1], ARGV[3 * i], ARGV[3 * i + 1], ARGV[1])
end
return answers
