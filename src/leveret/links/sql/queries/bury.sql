DELETE FROM dead WHERE id = ?
