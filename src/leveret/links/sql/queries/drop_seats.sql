DELETE FROM seats WHERE joined = ?
