INSERT INTO turns (queue, level, turn, seq) VALUES (?, ?, ?, ?)
