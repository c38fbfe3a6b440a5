INSERT OR IGNORE INTO messages (seq, id, queue, level, attempt, once, sent, encoded)
VALUES (
  max(coalesce((SELECT max(seq) FROM messages), 0), (SELECT sorted FROM fleet)) + 1, ?, ?, ?, ?, 0, ?,
  -- NULL is not allowed there, so the row is ignored.
  CASE WHEN EXISTS (SELECT 1 FROM bells WHERE idle) THEN NULL ELSE ? END
)
