UPDATE joins SET size = size + 1 WHERE id = ?
