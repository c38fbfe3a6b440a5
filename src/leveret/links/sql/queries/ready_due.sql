INSERT INTO ready (suspect, queue, level, seq)
SELECT messages.suspect, messages.queue, messages.level, messages.seq
FROM (SELECT seq FROM delayed WHERE due <= ? ORDER BY due, seq LIMIT ?) AS due
CROSS JOIN messages ON messages.seq = due.seq
WHERE messages.lane IS NULL OR messages.suspect
RETURNING CASE WHEN suspect THEN -queue ELSE queue END
