SELECT level, turn, plain FROM rounds WHERE queue = ?
