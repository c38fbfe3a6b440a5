-- Stores outcomes behind the fence: one record after the other, each wholly or not at all.
-- KEYS: for each record the key of Celery's document and the key of our facts (docs/reference/redis-keys.md).
-- ARGV: "1" to publish, the sha1 of documents the caller has read and found not ended (spaces between), then for each
-- record its document (empty: none), its facts, and milliseconds to keep both ("0": for ever).
-- Answers for each record 1 stored, 0 refused, 2 there is a document this script cannot read; last: 1 when this user
-- may not publish.
--#include fence

local answers = {}
local asked = ARGV[1] == '1'
silent = not asked
for i = 1, #KEYS, 2 do
  local place = 3 + (i - 1) / 2 * 3
  local document, facts = ARGV[place], ARGV[place + 1]
  local known = redis.call('MGET', KEYS[i], KEYS[i + 1])
  local answer = 1
  if known[1] or known[2] then answer = verdict(known[1], known[2], facts, ARGV[2]) end
  if answer == 1 then keep(KEYS[i], KEYS[i + 1], known[1], known[2], document, facts, ARGV[place + 2]) end
  answers[#answers + 1] = answer
end
answers[#answers + 1] = asked and silent and 1 or 0
return answers
