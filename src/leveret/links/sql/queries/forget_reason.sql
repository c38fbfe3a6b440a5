DELETE FROM limit_reasons WHERE id = ?
