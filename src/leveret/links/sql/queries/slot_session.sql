SELECT session FROM limit_holders WHERE key = ? AND id = ?
