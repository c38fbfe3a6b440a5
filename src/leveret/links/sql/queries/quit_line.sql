DELETE FROM limit_lines WHERE kind = ? AND key = ? AND id = ?
