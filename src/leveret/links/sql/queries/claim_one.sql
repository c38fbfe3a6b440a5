INSERT INTO claims (seq, session, number) VALUES (?, ?, ?)
