INSERT INTO runs (id, attempt, session, at) VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING
