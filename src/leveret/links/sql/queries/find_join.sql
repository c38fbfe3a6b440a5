SELECT size, taken FROM joins WHERE id = ?
