UPDATE joins SET taken = taken + 1, expires = CASE WHEN closed THEN expires WHEN taken + 1 >= size THEN ? END
WHERE id = ?
