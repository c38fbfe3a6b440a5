DELETE FROM claims WHERE seq = ? AND session = ? AND number = ?
