UPDATE joins SET taken = taken + 1, expires = CASE WHEN taken + 1 >= size THEN ? END WHERE id = ?
