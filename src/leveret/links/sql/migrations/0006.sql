-- Limits: what is kept of each key (its kind says how to read it), who waits there in the order of coming and until when, who
-- holds its slots, and why something waits.
CREATE TABLE limits (
  kind TEXT NOT NULL, key TEXT NOT NULL, state BLOB NOT NULL, kept REAL NOT NULL, PRIMARY KEY (kind, key)
) WITHOUT ROWID;
CREATE INDEX limits_kept ON limits (kept);
CREATE TABLE limit_lines (
  no INTEGER PRIMARY KEY, kind TEXT NOT NULL, key TEXT NOT NULL, id TEXT NOT NULL, until REAL NOT NULL
);
CREATE UNIQUE INDEX limit_lines_id ON limit_lines (kind, key, id);
CREATE INDEX limit_lines_no ON limit_lines (kind, key, no);
CREATE INDEX limit_lines_until ON limit_lines (until);
CREATE INDEX limit_lines_first ON limit_lines (kind, key, until);
CREATE TABLE limit_holders (key TEXT NOT NULL, id TEXT NOT NULL, session TEXT NOT NULL, PRIMARY KEY (key, id))
  WITHOUT ROWID;
CREATE TABLE limit_reasons (
  id TEXT PRIMARY KEY, bound TEXT NOT NULL, key TEXT NOT NULL, until REAL NOT NULL, at REAL NOT NULL, ahead INTEGER NOT NULL
) WITHOUT ROWID;
CREATE INDEX limit_reasons_until ON limit_reasons (until);
