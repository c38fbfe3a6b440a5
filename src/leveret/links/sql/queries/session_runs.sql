SELECT id FROM runs WHERE session = ?
