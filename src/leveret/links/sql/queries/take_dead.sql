DELETE FROM dead WHERE id = ? RETURNING id, queue, level, attempt, once, encoded, lane
