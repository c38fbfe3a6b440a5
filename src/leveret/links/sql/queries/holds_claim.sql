SELECT 1 FROM claims WHERE seq = ? AND session = ? AND number = ?
