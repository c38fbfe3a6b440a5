INSERT INTO messages (seq, id, queue, level, attempt, once, sent, encoded) VALUES (?, ?, ?, ?, ?, ?, ?, ?)
