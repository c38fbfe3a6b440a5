SELECT id, session FROM limit_holders WHERE key = ?
