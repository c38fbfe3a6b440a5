DELETE FROM limit_lines WHERE until < ?
