-- Forgets entries of the schedule with their history. ARGV: the prefix, names. Answers 1 for each that was there, else 0.
--#include place
--#include entries

local answers = {}
for at = 2, #ARGV do answers[#answers + 1] = forget(ARGV[at]) and 1 or 0 end
return answers
