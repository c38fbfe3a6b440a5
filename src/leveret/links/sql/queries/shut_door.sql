INSERT INTO doors (id, attempt) VALUES (?, ?) ON CONFLICT (id) DO UPDATE SET attempt = excluded.attempt
