INSERT INTO messages (seq, id, queue, level, attempt, once, sent, encoded, lane, turn)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
