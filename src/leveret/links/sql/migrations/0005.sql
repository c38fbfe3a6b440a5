-- Remote control: commands lie in the box '', answers in that of whoever asked; `boxes` says which bells to ring.
CREATE TABLE parcels (no INTEGER PRIMARY KEY AUTOINCREMENT, box TEXT NOT NULL, at REAL NOT NULL, parcel BLOB NOT NULL);
CREATE INDEX parcels_box ON parcels (box, no);
CREATE INDEX parcels_at ON parcels (at);
CREATE TABLE boxes (address TEXT PRIMARY KEY, box TEXT NOT NULL, at REAL NOT NULL) WITHOUT ROWID;
CREATE INDEX boxes_box ON boxes (box);
-- What must not run any more: ids of tasks, and marks of groups and stamps.
CREATE TABLE revocations (mark TEXT PRIMARY KEY, until REAL NOT NULL) WITHOUT ROWID;
CREATE INDEX revocations_until ON revocations (until);
