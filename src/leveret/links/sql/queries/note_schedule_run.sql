INSERT INTO schedule_runs (name, id, moment, late, outcome)
SELECT ?1, ?2, ?3, ?4, ?5 WHERE EXISTS (SELECT 1 FROM schedules WHERE name = ?1)
ON CONFLICT (name, id) DO NOTHING
