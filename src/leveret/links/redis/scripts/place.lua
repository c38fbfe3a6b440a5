-- Where messages are put: lists, the delayed ones, and the bells of those who wait for them. Included by scripts.
-- `P` is the prefix of all our keys. A list is named `queue` or `queue\6\22step`, as kombu names it.
local P = ARGV[1]
local DOOR_SECONDS = 86400
local FLEET = P .. 'leveret:'  -- what the names in `fleet` begin with
--#include clock
--#include lanes

local function queue_of(list)
  return string.match(list, '^(.-)\6\22') or list
end

-- Wakes so many of those who lie idle for a queue, first those whom Redis tells of the message anyway (`rest.lua`): of another
-- called instead both would wake. Who is not heard is gone, or may use no channel.
local function wake(queue, wanted)
  while wanted > 0 do
    local session = redis.call('SPOP', P .. 'leveret:watching:' .. queue)
      or redis.call('SPOP', P .. 'leveret:idle:' .. queue)
    if not session then return end
    local heard = redis.pcall('PUBLISH', P .. 'leveret:bell:' .. session, '')
    if type(heard) ~= 'number' then return end
    if heard > 0 then wanted = wanted - 1 end
  end
end

-- How many are to be woken, by queue, once it is known how much of it the script has taken itself; nil: at once.
local put_off
-- What such a script puts in, by list, and where ARGV has it, by its text: it is pushed when it is known that it is not
-- taken at once. Lua hashes each text of which it is told, at 1 ns a byte: a long one had better not come back from its list.
local kept, posted = {}, {}

local function ring(queue, wanted)
  if put_off then
    put_off[queue] = (put_off[queue] or 0) + wanted
  else
    wake(queue, wanted)
  end
end

-- Keeps a message until `due` (unix time). Whoever sleeps until the first one that was due has to know of an earlier one.
local function delay(list, raw, due)
  local member = string.format('%d %s', redis.call('INCR', P .. 'leveret:seq'), list)
  redis.call('ZADD', P .. 'leveret:delayed', due, member)
  redis.call('HSET', P .. 'leveret:delayed:messages', member, raw)
  redis.call('HINCRBY', P .. 'leveret:delayed:counts', queue_of(list), 1)
  if redis.call('ZRANGE', P .. 'leveret:delayed', 0, 0)[1] == member then wake(queue_of(list), 1) end
end

-- With its memory full Redis refuses the first write of a script that could take more, and asks nothing after any other.
-- What ends work, or says that somebody lives, frees more than it takes: it begins with a write that takes nothing.
local function even_when_full()
  redis.call('ZREM', P .. 'leveret:leases', '')
end

local ANOTHERS_SECONDS = 60

-- Moves what is due to its list; answers how many. What was due is taken out first, which a full memory permits. A list
-- that is no list is somebody else's key: its messages wait until that is gone, and hold up nobody.
local function promote(most)
  local due = redis.call('ZRANGEBYSCORE', P .. 'leveret:delayed', '-inf', now(), 'LIMIT', 0, most)
  if #due == 0 then return 0 end
  redis.call('ZREM', P .. 'leveret:delayed', unpack(due))
  local raws = redis.call('HMGET', P .. 'leveret:delayed:messages', unpack(due))
  local gone, came = {}, {}
  for i, member in ipairs(due) do
    local list = string.match(member, '^%d+ (.*)$')
    if raws[i] and type(push(redis.pcall, 'LPUSH', list, raws[i])) == 'table' then
      redis.call('ZADD', P .. 'leveret:delayed', now() + ANOTHERS_SECONDS, member)
    else
      gone[#gone + 1] = member
      if raws[i] then came[queue_of(list)] = (came[queue_of(list)] or 0) + 1 end
    end
  end
  if #gone > 0 then redis.call('HDEL', P .. 'leveret:delayed:messages', unpack(gone)) end
  for queue, count in pairs(came) do
    redis.call('HINCRBY', P .. 'leveret:delayed:counts', queue, -count)
    ring(queue, count)
  end
  return #due
end

-- Seconds until the next delayed message, as text; "" when there is none.
local function next_due()
  local first = redis.call('ZRANGE', P .. 'leveret:delayed', 0, 0, 'WITHSCORES')
  return first[2] and string.format('%.6f', math.max(first[2] - now(), 0)) or ''
end

-- The message of a member is kept until its join is over, and its join looked at every so often (`joins_due.lua`).
local LOOK_SECONDS = 10

local function forgotten(join)
  redis.call('HDEL', P .. 'leveret:joins', join)
  redis.call('ZREM', P .. 'leveret:joins:due', join)
end

local function put(list, raw, due)
  if due ~= '' and tonumber(due) > now() then
    delay(list, raw, due)
    return
  end
  if put_off and not string.find(list, LANE, 1, true) then
    kept[list] = kept[list] or {}
    table.insert(kept[list], raw)
  else
    push(redis.call, 'LPUSH', list, raw)
  end
  ring(queue_of(list), 1)
end
