SELECT id, expires FROM results WHERE id > ? ORDER BY id LIMIT ?
