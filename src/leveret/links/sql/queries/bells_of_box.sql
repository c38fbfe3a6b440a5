SELECT address FROM boxes WHERE box = ?
