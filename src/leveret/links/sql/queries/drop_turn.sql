DELETE FROM turns WHERE queue = ? AND level = ? AND turn = ? AND seq = ?
