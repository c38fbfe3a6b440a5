INSERT INTO delayed (due, seq, queue) VALUES (?, ?, ?)
