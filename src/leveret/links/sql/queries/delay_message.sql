INSERT INTO delayed (due, seq, queue) SELECT ?, seq, queue FROM messages WHERE seq = ?
