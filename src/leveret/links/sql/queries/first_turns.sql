SELECT level, turn, seq FROM turns WHERE queue = ? ORDER BY level, turn, seq LIMIT ?
