-- What has become of the messages of unique keys. ARGV: the prefix, the hash of living sessions, "1" where they were sent, "0"
-- where they will not be; of each wish its key, id and seconds.
--#include limits/ground
--#include limits/unique

if ARGV[3] == '0' then even_when_full() end
for i = 4, #ARGV, 3 do
  local state = known(ARGV[i])
  -- A message may have run already: then its key is gone, and stays so.
  if state and state.id == ARGV[i + 1] and state.pending then
    if ARGV[3] == '1' then
      state.till, state.pending = NOW + tonumber(ARGV[i + 2]), false
      keep(ARGV[i], state)
    else
      give_up(ARGV[i], state)
    end
  end
end
return 1
