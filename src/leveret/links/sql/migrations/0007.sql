-- What the cluster does not start at the moment: queues and task types.
CREATE TABLE pauses (
  kind TEXT NOT NULL, name TEXT NOT NULL, since REAL NOT NULL, by TEXT NOT NULL, PRIMARY KEY (kind, name)
) WITHOUT ROWID;
