DELETE FROM schedule_runs WHERE name = ?
