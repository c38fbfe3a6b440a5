DELETE FROM runs WHERE session = ?
