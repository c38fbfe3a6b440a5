-- The schedule. `due` is NULL when an entry has no next moment, 0 when nobody has computed it yet.
CREATE TABLE schedules (
  name TEXT PRIMARY KEY, source TEXT NOT NULL, revision INTEGER NOT NULL, entry BLOB NOT NULL,
  cursor REAL NOT NULL, due REAL, paused INTEGER NOT NULL DEFAULT 0, last TEXT NOT NULL DEFAULT '', last_moment REAL
);
CREATE INDEX schedules_due ON schedules (due) WHERE due IS NOT NULL AND NOT paused;
-- Runs that were taken and not yet reported as sent.
CREATE TABLE schedule_fires (
  name TEXT NOT NULL, revision INTEGER NOT NULL, moment REAL NOT NULL, fire BLOB NOT NULL, at REAL NOT NULL,
  PRIMARY KEY (name, revision, moment)
);
CREATE INDEX schedule_fires_at ON schedule_fires (at);
CREATE TABLE schedule_runs (
  number INTEGER PRIMARY KEY, name TEXT NOT NULL, id TEXT NOT NULL, moment REAL NOT NULL, late REAL NOT NULL,
  outcome TEXT NOT NULL
);
CREATE UNIQUE INDEX schedule_runs_id ON schedule_runs (name, id);
