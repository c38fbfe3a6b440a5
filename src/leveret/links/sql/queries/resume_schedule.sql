UPDATE schedules SET paused = 0, due = 0, cursor = max(cursor, ?) WHERE name = ? AND paused
