SELECT level, seq FROM ready WHERE suspect = ? AND queue = ? ORDER BY level, seq LIMIT ?
