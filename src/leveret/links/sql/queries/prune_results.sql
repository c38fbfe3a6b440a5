DELETE FROM results WHERE id IN (SELECT id FROM results WHERE expires <= ? ORDER BY expires LIMIT ?)
