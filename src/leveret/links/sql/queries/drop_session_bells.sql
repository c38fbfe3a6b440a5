DELETE FROM bells WHERE session = ?
