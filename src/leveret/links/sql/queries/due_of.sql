SELECT due FROM delayed WHERE seq = ?
