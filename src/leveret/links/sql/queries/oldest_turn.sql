SELECT sent FROM messages WHERE seq = (SELECT min(seq) FROM turns WHERE queue = ?)
