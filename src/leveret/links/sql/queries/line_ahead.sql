SELECT count(*) FROM limit_lines WHERE kind = ? AND key = ? AND no < ?
