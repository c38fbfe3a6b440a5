SELECT count(*) FROM limit_holders WHERE key = ?
