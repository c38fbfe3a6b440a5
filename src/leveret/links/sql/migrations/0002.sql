-- The ledger: for brokers that remember nothing themselves (RabbitMQ), when this file is their store.
CREATE TABLE runs (
  id TEXT NOT NULL, attempt INTEGER NOT NULL, session TEXT NOT NULL, at REAL NOT NULL, PRIMARY KEY (id, attempt)
) WITHOUT ROWID;
CREATE INDEX runs_session ON runs (session);
CREATE TABLE testimonies (id TEXT PRIMARY KEY, charges BLOB NOT NULL, suspect INTEGER NOT NULL, at REAL NOT NULL)
  WITHOUT ROWID;
