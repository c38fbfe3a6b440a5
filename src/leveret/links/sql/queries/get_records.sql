SELECT results.id, attempt, state, terminal, tombstone, meta, content_type, not_before
FROM json_each(?) CROSS JOIN results ON results.id = json_each.value
WHERE expires IS NULL OR expires > ?
