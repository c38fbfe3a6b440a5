-- Stores outcomes behind the fence: one record after the other, each wholly or not at all.
-- KEYS: for each record the key of Celery's document and the key of our facts (docs/reference/redis-keys.md).
-- ARGV: "1" to publish, the sha1 of documents the caller has read and found not ended (spaces between), then for each
-- record its document (empty: none), its facts, and milliseconds to keep both ("0": for ever).
-- Answers for each record 1 stored, 0 refused, 2 there is a document this script cannot read; last: 1 when this user
-- may not publish.

local READY = {SUCCESS = true, FAILURE = true, REVOKED = true}

local function status_of(document)
  local status = string.match(document, '^{"status": ?"([^"\\]*)"')
  if status then return status end
  for _, read in ipairs({cjson.decode, cmsgpack.unpack}) do
    local readable, value = pcall(read, document)
    if readable and type(value) == 'table' and type(value.status) == 'string' then return value.status end
  end
  return nil
end

-- What a document says that is not, or not surely, the one our facts stand for: 0 it has ended, 1 it has not, 2 who knows.
local function judge(document, digest)
  if digest and digest ~= '-' and digest == redis.sha1hex(document) then return 1 end
  local status = status_of(document)
  if status then return READY[status] and 0 or 1 end
  return string.find(ARGV[2], redis.sha1hex(document), 1, true) and 1 or 2
end

local function verdict(document, facts, offered)
  local attempt, flags, digest
  if facts then
    attempt, flags, digest = string.match(facts, '^(%d+) ([TBRE-]+) (%S+) %S+ %S+ %S')
    if not attempt then
      facts = nil  -- somebody else wrote there
    elseif not document and not string.find(flags, '[BE]') then
      facts = nil  -- the document was deleted by a client that does not know our facts: all of it is forgotten
    elseif string.find(flags, 'T', 1, true) then
      return 0
    end
  end
  if document and document ~= '' then
    local answer = judge(document, digest)
    if answer ~= 1 then return answer end
  end
  if not facts then return 1 end
  local own, own_flags = string.match(offered, '^(%d+) (%S+)')
  attempt, own = tonumber(attempt), tonumber(own)
  if attempt ~= own then return attempt < own and 1 or 0 end
  -- A retry is the outcome of its attempt: a late STARTED must not hide it from whoever has to replay it.
  if string.find(flags, 'R', 1, true) and not string.find(own_flags, '[TBR]') then return 0 end
  return 1
end

local answers = {}
local silent = 0
for i = 1, #KEYS, 2 do
  local document_key, facts_key = KEYS[i], KEYS[i + 1]
  local place = 3 + (i - 1) / 2 * 3
  local document, facts, milliseconds = ARGV[place], ARGV[place + 1], ARGV[place + 2]
  local known = redis.call('MGET', document_key, facts_key)
  local answer = 1
  if known[1] or known[2] then answer = verdict(known[1], known[2], facts) end
  if answer == 1 then
    if milliseconds == '0' then
      redis.call('SET', facts_key, facts)
      if document ~= '' then redis.call('SET', document_key, document) end
    else
      redis.call('SET', facts_key, facts, 'PX', milliseconds)
      if document ~= '' then redis.call('SET', document_key, document, 'PX', milliseconds) end
    end
    if document == '' then
      if known[1] then redis.call('DEL', document_key) end
    elseif ARGV[1] == '1' and silent == 0 then
      local published = redis.pcall('PUBLISH', document_key, document)
      if type(published) == 'table' then silent = 1 end
    end
  end
  answers[#answers + 1] = answer
end
answers[#answers + 1] = silent
return answers
