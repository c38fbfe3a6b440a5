-- Hands messages over. ARGV: the prefix, and what `taking.lua` reads and answers.
--#include place
--#include taking

return (take(2))
