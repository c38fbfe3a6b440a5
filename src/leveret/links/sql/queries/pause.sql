INSERT INTO pauses (kind, name, since, by) VALUES (?, ?, ?, ?) ON CONFLICT (kind, name) DO UPDATE SET by = excluded.by
