INSERT INTO ready (suspect, queue, level, seq) VALUES (0, ?, ?, ?)
