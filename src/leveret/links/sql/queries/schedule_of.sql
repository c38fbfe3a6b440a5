SELECT source, revision, entry, cursor, due, paused, last, last_moment FROM schedules WHERE name = ?
