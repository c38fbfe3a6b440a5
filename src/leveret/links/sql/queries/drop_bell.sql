DELETE FROM bells WHERE address = ?
