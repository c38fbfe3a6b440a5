SELECT revision, entry, cursor, due, paused, last, last_moment FROM schedules ORDER BY name
