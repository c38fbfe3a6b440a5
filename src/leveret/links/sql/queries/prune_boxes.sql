DELETE FROM boxes WHERE at < ?
