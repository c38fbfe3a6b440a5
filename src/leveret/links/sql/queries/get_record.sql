SELECT id, attempt, state, terminal, tombstone, meta, content_type, not_before
FROM results WHERE id = ? AND (expires IS NULL OR expires > ?)
