SELECT count(*) FROM turns WHERE queue = ?
