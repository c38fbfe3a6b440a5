-- Messages at rest are written once and deleted once; what changes hands stands in small tables beside them:
-- `ready` (what may be claimed), `delayed` (what is not due), `claims` (who holds what).
CREATE TABLE queues (no INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE);
CREATE TABLE messages (
  seq INTEGER PRIMARY KEY,            -- the place in the queue
  id TEXT NOT NULL,
  queue INTEGER NOT NULL,
  level INTEGER NOT NULL,             -- 0 is the most urgent
  attempt INTEGER NOT NULL,
  once INTEGER NOT NULL,              -- 1: a door stands for it
  suspect INTEGER NOT NULL DEFAULT 0,
  count INTEGER NOT NULL DEFAULT 0,   -- hand-overs that counted
  sent REAL NOT NULL,
  encoded BLOB NOT NULL,
  charges BLOB
);
CREATE TABLE ready (
  suspect INTEGER NOT NULL, queue INTEGER NOT NULL, level INTEGER NOT NULL, seq INTEGER NOT NULL,
  PRIMARY KEY (suspect, queue, level, seq)
) WITHOUT ROWID;
CREATE TABLE delayed (
  due REAL NOT NULL, seq INTEGER NOT NULL, queue INTEGER NOT NULL, PRIMARY KEY (due, seq)
) WITHOUT ROWID;
CREATE TABLE claims (seq INTEGER PRIMARY KEY, session INTEGER NOT NULL, number INTEGER NOT NULL);
-- One row per live message that may exist once; ids of plain messages have no index.
CREATE TABLE doors (id TEXT PRIMARY KEY, attempt INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE results (
  id TEXT PRIMARY KEY,
  attempt INTEGER NOT NULL,
  state TEXT NOT NULL,
  terminal INTEGER NOT NULL,
  tombstone INTEGER NOT NULL,
  meta BLOB NOT NULL,
  content_type TEXT NOT NULL,
  not_before REAL,
  expires REAL
) WITHOUT ROWID;
-- No index on `expires`: its random deletions dirty a page a row. The prune chore walks the table instead.
CREATE INDEX results_revoked ON results (id) WHERE state = 'REVOKED';
CREATE TABLE joins (id TEXT PRIMARY KEY, size INTEGER NOT NULL, taken INTEGER NOT NULL, expires REAL) WITHOUT ROWID;
CREATE INDEX joins_expire ON joins (expires) WHERE expires IS NOT NULL;
CREATE TABLE seats (
  joined TEXT NOT NULL, place INTEGER NOT NULL, value BLOB NOT NULL, PRIMARY KEY (joined, place)
) WITHOUT ROWID;
CREATE TABLE dead (
  no INTEGER PRIMARY KEY AUTOINCREMENT,
  id TEXT NOT NULL, queue INTEGER NOT NULL, level INTEGER NOT NULL, attempt INTEGER NOT NULL, once INTEGER NOT NULL,
  reason TEXT NOT NULL, at REAL NOT NULL, encoded BLOB NOT NULL, charges BLOB
);
CREATE INDEX dead_id ON dead (id);
CREATE INDEX dead_at ON dead (at);
CREATE TABLE nodes (
  incarnation TEXT PRIMARY KEY,
  name TEXT NOT NULL, boot TEXT NOT NULL, pid INTEGER NOT NULL, facts BLOB NOT NULL, expires REAL NOT NULL
) WITHOUT ROWID;
-- AUTOINCREMENT: a number is never given twice, so that a receipt of a reaped session can never fit again.
CREATE TABLE sessions (
  no INTEGER PRIMARY KEY AUTOINCREMENT,
  id TEXT NOT NULL UNIQUE, incarnation TEXT NOT NULL, pid INTEGER NOT NULL, quarantine INTEGER NOT NULL,
  number INTEGER NOT NULL DEFAULT -1,
  orphaned REAL                       -- when its node was found gone while it still lived
);
CREATE TABLE bells (
  address TEXT PRIMARY KEY, session TEXT NOT NULL, queues TEXT NOT NULL, idle INTEGER NOT NULL
) WITHOUT ROWID;
CREATE TABLE fleet (
  one INTEGER PRIMARY KEY CHECK (one = 1),
  tick REAL, reap_from REAL NOT NULL DEFAULT 0,
  sorted INTEGER NOT NULL DEFAULT 0   -- messages beyond this place are ready, but not in `ready` yet
);
INSERT INTO fleet (one) VALUES (1);
