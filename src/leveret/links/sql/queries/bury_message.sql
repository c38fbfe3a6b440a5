INSERT INTO dead (id, queue, level, attempt, once, reason, at, encoded, charges, lane)
SELECT id, queue, level, attempt, once, ?, ?, encoded, charges, lane FROM messages WHERE seq = ?
