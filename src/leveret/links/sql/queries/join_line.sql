INSERT INTO limit_lines (kind, key, id, until) VALUES (?, ?, ?, ?)
ON CONFLICT (kind, key, id) DO UPDATE SET until = excluded.until
