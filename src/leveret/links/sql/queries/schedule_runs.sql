SELECT id, moment, late, outcome FROM schedule_runs WHERE name = ? ORDER BY number DESC LIMIT ?
