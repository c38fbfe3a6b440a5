UPDATE nodes SET expires = ? WHERE incarnation = ?
