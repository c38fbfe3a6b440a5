SELECT results.id, attempt, state, terminal, tombstone, meta, content_type, not_before
FROM json_each(?1) CROSS JOIN results ON results.id = json_each.value
WHERE expires IS NULL OR expires > ?2
