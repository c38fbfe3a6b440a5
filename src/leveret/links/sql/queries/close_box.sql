DELETE FROM boxes WHERE address = ?
