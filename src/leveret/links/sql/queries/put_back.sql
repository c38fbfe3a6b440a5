INSERT INTO ready (suspect, queue, level, seq)
SELECT suspect, queue, level, seq FROM messages WHERE seq = ? AND (lane IS NULL OR suspect)
RETURNING CASE WHEN suspect THEN -queue ELSE queue END
