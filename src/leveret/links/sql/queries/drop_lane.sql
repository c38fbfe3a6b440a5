DELETE FROM lanes WHERE queue = ? AND level = ? AND lane = ? AND turn <= ?
