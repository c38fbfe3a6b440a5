INSERT INTO ready (suspect, queue, level, seq) SELECT suspect, queue, level, seq FROM messages WHERE seq = ?
RETURNING CASE WHEN suspect THEN -queue ELSE queue END
