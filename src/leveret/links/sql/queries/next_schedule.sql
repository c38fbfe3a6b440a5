SELECT min(due) FROM schedules WHERE due > ? AND due IS NOT NULL AND NOT paused
