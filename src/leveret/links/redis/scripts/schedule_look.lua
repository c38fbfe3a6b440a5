-- How entries of the schedule stand. ARGV: the prefix, how many runs of each, names.
-- Answers for each {facts, runs, the newest first}.
--#include place
--#include entries

local answers, runs = {}, tonumber(ARGV[2])
for at = 3, #ARGV do
  answers[#answers + 1] = {facts_of(ARGV[at]), runs > 0 and redis.call('LRANGE', runs_key(ARGV[at]), 0, runs - 1) or {}}
end
return answers
