DELETE FROM runs WHERE id = ? AND attempt = ? AND session = ?
