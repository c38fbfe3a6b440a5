-- Counts members that were added to joins. KEYS: of each its join. ARGV: of each the seat of the member that adds it, and its id.
-- Answers for each 1, or 0 when nobody waits for it (`adding.lua`).
--#include adding

local answers = {}
for i, key in ipairs(KEYS) do answers[i] = grow(key, ARGV[2 * i - 1], ARGV[2 * i]) and 1 or 0 end
return answers
