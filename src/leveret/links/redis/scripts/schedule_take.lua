-- Moves entries of the schedule on, each if it stands where whoever decided has seen it, and notes its fires as taken.
-- ARGV: the prefix, how many runs to keep of each entry, then for each move the name, revision and cursor that were seen,
-- its new cursor and next moment ("": none), how many fires, id and moment of the last of them, how many skipped runs;
-- of each fire its member and itself; of each skipped run its moment, lateness, outcome and id.
-- Answers 1 for each move that counts, else 0.
--#include place
--#include entries

local function move(at, first_skipped, next_move)
  local name = ARGV[at]
  local key = entry_key(name)
  local known = redis.call('HMGET', key, 'revision', 'cursor', 'paused')
  if known[1] ~= ARGV[at + 1] or tonumber(known[2]) ~= tonumber(ARGV[at + 2]) or known[3] == '1' then return 0 end
  redis.call('HSET', key, 'cursor', ARGV[at + 3], 'due', ARGV[at + 4])
  rank(name, ARGV[at + 4], false)
  if ARGV[at + 5] ~= '0' then redis.call('HSET', key, 'last', ARGV[at + 6], 'last_moment', ARGV[at + 7]) end
  for fire = at + 9, first_skipped - 1, 2 do
    redis.call('ZADD', TAKEN, stamp(), ARGV[fire])
    redis.call('HSET', FIRES, ARGV[fire], ARGV[fire + 1])
  end
  for run = first_skipped, next_move - 1, 4 do
    note(name, ARGV[run], ARGV[run + 1], ARGV[run + 2], ARGV[run + 3], tonumber(ARGV[2]))
  end
  return 1
end

local at, answers = 3, {}
while at <= #ARGV do
  local first_skipped = at + 9 + 2 * tonumber(ARGV[at + 5])
  local next_move = first_skipped + 4 * tonumber(ARGV[at + 8])
  answers[#answers + 1] = move(at, first_skipped, next_move)
  at = next_move
end
return answers
