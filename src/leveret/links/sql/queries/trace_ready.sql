-- Bounded: ids have no index, and a backlog may be of any size.
SELECT queues.name, messages.encoded, messages.charges, messages.seq, messages.queue, messages.level, messages.suspect
FROM (SELECT seq, id FROM messages ORDER BY seq LIMIT ?) AS first
  CROSS JOIN messages ON messages.seq = first.seq
  JOIN queues ON queues.no = messages.queue
WHERE first.id = ? LIMIT 1
