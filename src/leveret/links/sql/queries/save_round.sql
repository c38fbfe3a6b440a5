INSERT INTO rounds (queue, level, turn, plain) VALUES (?, ?, ?, ?)
ON CONFLICT (queue, level) DO UPDATE SET turn = max(turn, excluded.turn), plain = max(plain, excluded.plain)
