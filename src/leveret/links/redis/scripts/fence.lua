-- The fence: whether an outcome may be stored beside what is there. Included by scripts.

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
local function judge(document, digest, acquitted)
  if digest and digest ~= '-' and digest == redis.sha1hex(document) then return 1 end
  local status = status_of(document)
  if status then return READY[status] and 0 or 1 end
  return string.find(acquitted, redis.sha1hex(document), 1, true) and 1 or 2
end

local function verdict(document, facts, offered, acquitted)
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
    local answer = judge(document, digest, acquitted)
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

-- The facts of an outcome whose document says all of it: a first attempt that succeeded. Over any other end a Celery
-- worker with a copy of the message writes STARTED; SUCCESS alone it leaves as it is.
local PLAIN = '0 T - - - SUCCESS'

-- Writes one outcome that the fence lets pass, and publishes it unless `silent`. Facts that say no more than the document
-- are not kept: whoever reads it alone reads the same.
local silent = false

local function keep(document_key, facts_key, stood, known, document, facts, milliseconds)
  if facts == PLAIN and document ~= '' then
    if known then redis.call('DEL', facts_key) end
  elseif milliseconds == '0' then
    redis.call('SET', facts_key, facts)
  else
    redis.call('SET', facts_key, facts, 'PX', milliseconds)
  end
  if document == '' then
    if stood then redis.call('DEL', document_key) end
    return
  end
  if milliseconds == '0' then
    redis.call('SET', document_key, document)
  else
    redis.call('SET', document_key, document, 'PX', milliseconds)
  end
  if not silent then silent = type(redis.pcall('PUBLISH', document_key, document)) == 'table' end
end
