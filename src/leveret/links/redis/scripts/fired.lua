-- What these joins release is published. KEYS: the joins. ARGV: milliseconds for which that is remembered.
--#include joins

for _, key in ipairs(KEYS) do fired(key, ARGV[1]) end
return 1
