UPDATE joins SET closed = 1, expires = ? WHERE id = ? AND NOT closed AND taken < max(size, 1)
