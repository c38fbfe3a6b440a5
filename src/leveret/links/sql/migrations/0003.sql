-- A join in which a member failed is closed: it never completes, whoever arrives later.
ALTER TABLE joins ADD COLUMN closed INTEGER NOT NULL DEFAULT 0;
-- Compositions that are being sent to a broker which takes messages one by one.
CREATE TABLE outbox (id TEXT PRIMARY KEY, due REAL NOT NULL, postings BLOB NOT NULL) WITHOUT ROWID;
CREATE INDEX outbox_due ON outbox (due);
