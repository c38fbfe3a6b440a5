SELECT size, taken, closed FROM joins WHERE id = ?
