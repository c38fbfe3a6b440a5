DELETE FROM joins WHERE id = ?
