SELECT 1 FROM turns WHERE queue = ? AND level = ? LIMIT 1
