DELETE FROM schedule_runs WHERE name = ?1 AND number <= (
  SELECT number FROM schedule_runs WHERE name = ?1 ORDER BY number DESC LIMIT 1 OFFSET ?2
)
