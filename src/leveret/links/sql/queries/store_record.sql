INSERT INTO results (id, attempt, state, terminal, tombstone, meta, content_type, not_before, expires)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (id) DO UPDATE SET
  attempt = excluded.attempt, state = excluded.state, terminal = excluded.terminal, tombstone = excluded.tombstone,
  meta = excluded.meta, content_type = excluded.content_type, not_before = excluded.not_before,
  expires = excluded.expires
WHERE results.expires <= ?
  OR (NOT results.terminal AND results.attempt < excluded.attempt)
  OR (NOT results.terminal AND results.attempt = excluded.attempt
      AND (results.state <> 'RETRY' OR excluded.terminal OR excluded.tombstone OR excluded.state = 'RETRY'))
