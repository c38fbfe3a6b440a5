SELECT 1 FROM seats WHERE joined = ? AND place = ?
