DELETE FROM nodes WHERE incarnation = ?
