SELECT value FROM seats WHERE joined = ? ORDER BY place
