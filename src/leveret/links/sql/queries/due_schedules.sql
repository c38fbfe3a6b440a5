SELECT revision, entry, cursor, due, paused, last, last_moment FROM schedules
WHERE due <= ? AND due IS NOT NULL AND NOT paused ORDER BY due LIMIT ?
