UPDATE bells SET idle = 0 WHERE address = ?
