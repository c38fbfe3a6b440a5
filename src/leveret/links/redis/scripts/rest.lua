-- Lies down to be called, unless there is work; what comes after this rings.
-- ARGV: the prefix, session, name of its node ("": it does not watch), how many queues, the queues, and the suffixes of
-- their steps.
-- Answers {1} when there is work, {-1} when the session is gone, else {0, seconds until the next delayed message or "",
-- whether this session is the one of its node that watches the lists}.
--#include place

local WATCH_SECONDS = 4
local session, node, queues = ARGV[2], ARGV[3], tonumber(ARGV[4])
if redis.call('HEXISTS', P .. 'leveret:claims', session) == 0 then return {-1} end
local lists = {}
for step = 5 + queues, #ARGV do
  for i = 5, 4 + queues do lists[#lists + 1] = P .. ARGV[i] .. ARGV[step] end
end
if redis.call('EXISTS', unpack(lists)) > 0 then return {1} end
if redis.call('EXISTS', P .. 'leveret:lanes') == 1 then
  for _, list in ipairs(lists) do
    if redis.call('HEXISTS', P .. 'leveret:lanes', string.sub(list, #P + 1)) == 1 then return {1} end
  end
end
even_when_full()
local watches = 0
if node ~= '' then
  local key = P .. 'leveret:watch:' .. node
  local watcher = redis.call('GET', key)
  if not watcher or watcher == session then
    redis.call('SET', key, session, 'EX', WATCH_SECONDS)
    watches = 1
  end
end
local joined, left = 'leveret:idle:', 'leveret:watching:'
if watches == 1 then joined, left = left, joined end
for i = 5, 4 + queues do
  redis.call('SREM', P .. left .. ARGV[i], session)
  redis.call('SADD', P .. joined .. ARGV[i], session)
end
return {0, next_due(), watches}
