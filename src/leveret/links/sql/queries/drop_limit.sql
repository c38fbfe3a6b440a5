DELETE FROM limits WHERE kind = ? AND key = ?
