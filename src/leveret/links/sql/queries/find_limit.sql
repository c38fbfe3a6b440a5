SELECT state FROM limits WHERE kind = ? AND key = ?
