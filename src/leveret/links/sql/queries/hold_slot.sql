INSERT INTO limit_holders (key, id, session) VALUES (?, ?, ?)
ON CONFLICT (key, id) DO UPDATE SET session = excluded.session
