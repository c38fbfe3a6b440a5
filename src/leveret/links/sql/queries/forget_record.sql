DELETE FROM results WHERE id = ?
