-- Asks for unique keys before their messages are sent. ARGV: the prefix, the hash of living sessions, seconds for which a key
-- is pending; of each wish its key, id, seconds, and "1" if it replaces. Answers of each {holder, 1 if it won, 1 if pending}.
--#include limits/ground
--#include limits/unique

local function wish(key, id, seconds, replaces)
  local state = known(key)
  local by = holder_of(state)
  if by ~= '' and by ~= id and ((state.session ~= '' and alive(state.session)) or not replaces) then
    return {by, 0, state.pending and 1 or 0}
  end
  if by ~= id or state.pending then
    local started = state and state.started or ''
    local till = NOW + tonumber(ARGV[3])
    keep(key, {id = id, till = till, pending = true, seconds = tonumber(seconds), session = '', started = started})
  end
  return {id, 1, 0}
end

local answers = {}
for i = 4, #ARGV, 4 do
  answers[#answers + 1] = wish(ARGV[i], ARGV[i + 1], ARGV[i + 2], ARGV[i + 3] == '1')
end
return answers
