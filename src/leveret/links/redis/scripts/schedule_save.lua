-- Writes entries of the schedule, if all that was read of them still stands.
-- ARGV: the prefix, "1" to drop what else a source defines, that source, then for each entry its name, the sha1 of what
-- stood ("": nothing), what shall stand ("": that stays), its source, "1" to keep its cursor.
-- Answers {} where something else stands by now, else {names dropped, facts of each entry ...}.
--#include place
--#include entries

local stood, named = {}, {}
for at = 4, #ARGV, 5 do
  local name = ARGV[at]
  if not named[name] then
    local entry = redis.call('HGET', entry_key(name), 'entry')
    stood[name] = entry and redis.sha1hex(entry) or ''
    named[name] = true
  end
  if stood[name] ~= ARGV[at + 1] then return {} end
  if ARGV[at + 2] ~= '' then stood[name] = redis.sha1hex(ARGV[at + 2]) end
end

local function write(name, entry, source, keeps)
  local key = entry_key(name)
  local known = redis.call('HMGET', key, 'revision', 'cursor', 'source', 'paused')
  local revision, cursor = 1, stamp()
  if known[1] then
    revision = known[1] + 1
    if keeps or tonumber(known[2]) > now() then cursor = known[2] end
  end
  redis.call('HSET', key, 'entry', entry, 'source', source, 'revision', string.format('%d', revision), 'cursor', cursor, 'due', '0')
  if known[3] and known[3] ~= source then redis.call('SREM', source_key(known[3]), name) end
  redis.call('SADD', source_key(source), name)
  rank(name, '0', known[4] == '1')
end

local gone = {}
if ARGV[2] == '1' then
  for _, name in ipairs(redis.call('SMEMBERS', source_key(ARGV[3]))) do
    if not named[name] and forget(name) then gone[#gone + 1] = name end
  end
end
for at = 4, #ARGV, 5 do
  if ARGV[at + 2] ~= '' then write(ARGV[at], ARGV[at + 2], ARGV[at + 3], ARGV[at + 4] == '1') end
end
local answer = {gone}
if ARGV[2] ~= '1' then
  for at = 4, #ARGV, 5 do answer[#answer + 1] = facts_of(ARGV[at]) end
end
return answer
