SELECT level, turn FROM rounds WHERE queue = ?
