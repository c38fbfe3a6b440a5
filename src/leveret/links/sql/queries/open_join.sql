INSERT INTO joins (id, size, taken) VALUES (?, ?, 0) ON CONFLICT (id) DO NOTHING
