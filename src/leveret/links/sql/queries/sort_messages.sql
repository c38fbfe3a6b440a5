INSERT INTO ready (suspect, queue, level, seq) SELECT 0, queue, level, seq FROM messages WHERE seq > ?
