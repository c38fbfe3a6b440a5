DELETE FROM results WHERE id = ? AND expires <= ?
