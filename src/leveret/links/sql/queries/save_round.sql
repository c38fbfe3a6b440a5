INSERT INTO rounds (queue, level, turn) VALUES (?, ?, ?)
ON CONFLICT (queue, level) DO UPDATE SET turn = max(turn, excluded.turn)
