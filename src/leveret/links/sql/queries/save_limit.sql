INSERT INTO limits (kind, key, state, kept) VALUES (?, ?, ?, ?)
ON CONFLICT (kind, key) DO UPDATE SET state = excluded.state, kept = excluded.kept
