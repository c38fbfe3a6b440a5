INSERT INTO dead (id, queue, level, attempt, once, reason, at, encoded, charges)
SELECT id, queue, level, attempt, once, ?, ?, encoded, charges FROM messages WHERE seq = ?
