-- Lanes: lists of their own beside the list of their queue and step, named `<list>\6\22:<lane>`. Of each list with lanes one more
-- list, `leveret:turns:<list>`, says whose turn is next: the lanes that have messages, and '' for the list itself. A lane
-- that runs empty leaves it, and comes back behind the others. `leveret:lanes` has how many messages lie in the lanes
-- of each list; a list that is not in it has none. Included by `place`.
local LANE = '\6\22:'

-- Puts messages into a list (LPUSH: behind the others, RPUSH: before them). `call`: what is done where it is no list.
local function push(call, verb, list, ...)
  local length = call(verb, P .. list, ...)
  local at = string.find(list, LANE, 1, true)
  if not at or type(length) == 'table' then return length end
  local own, count = string.sub(list, 1, at - 1), select('#', ...)
  redis.call('HINCRBY', P .. 'leveret:lanes', own, count)
  if length == count then
    local turns = P .. 'leveret:turns:' .. own
    if redis.call('EXISTS', turns) == 0 then redis.call('LPUSH', turns, '') end
    redis.call('LPUSH', turns, list)
  end
  return length
end
