SELECT name FROM schedules WHERE source = ?
