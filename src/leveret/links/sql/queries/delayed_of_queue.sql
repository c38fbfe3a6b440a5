SELECT due, seq FROM delayed WHERE queue = ? LIMIT ?
