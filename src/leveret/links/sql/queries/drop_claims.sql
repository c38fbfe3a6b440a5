DELETE FROM claims WHERE session = ?
