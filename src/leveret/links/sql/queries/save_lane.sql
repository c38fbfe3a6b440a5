INSERT INTO lanes (queue, level, lane, turn) VALUES (?, ?, ?, ?)
ON CONFLICT (queue, level, lane) DO UPDATE SET turn = excluded.turn
