-- Takes turns between the lanes of a list. Included where there are any, after `place`.
-- Each is told to `took(lane, raw)`, at most `room` of them; `plain()` takes what is next in the list itself, or nothing.
-- Ends earlier when all lanes are empty.
local function take_turns(list, room, plain, took)
  local turns, count = P .. 'leveret:turns:' .. list, 0
  while room > 0 do
    local lane = redis.call('RPOP', turns)
    if not lane then break end
    if lane ~= '' then
      -- Not `call`: what was taken before must not be lost with somebody else's key.
      local raw = redis.pcall('RPOP', P .. lane)
      if type(raw) == 'string' then
        took(lane, raw)
        count, room = count + 1, room - 1
        if redis.call('EXISTS', P .. lane) == 1 then redis.call('LPUSH', turns, lane) end
      end
    elseif redis.call('EXISTS', turns) == 1 then
      if plain() then room = room - 1 end
      redis.call('LPUSH', turns, '')
    end
  end
  if count > 0 and redis.call('HINCRBY', P .. 'leveret:lanes', list, -count) <= 0 then
    redis.call('HDEL', P .. 'leveret:lanes', list)
    redis.call('DEL', turns)
  end
end
