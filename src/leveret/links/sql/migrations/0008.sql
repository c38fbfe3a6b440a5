-- Lanes: messages of one queue that take turns. Each is given the round in which it is its lane's turn; those that are
-- ready stand in `turns` by it, and never in `ready` (suspects excepted, which have no lanes).
ALTER TABLE messages ADD COLUMN lane TEXT;
ALTER TABLE messages ADD COLUMN turn INTEGER;   -- NULL: not given yet
ALTER TABLE dead ADD COLUMN lane TEXT;
CREATE TABLE turns (
  queue INTEGER NOT NULL, level INTEGER NOT NULL, turn INTEGER NOT NULL, seq INTEGER NOT NULL,
  PRIMARY KEY (queue, level, turn, seq)
) WITHOUT ROWID;
-- The last round given to a lane; one whose last round is over has no row.
CREATE TABLE lanes (
  queue INTEGER NOT NULL, level INTEGER NOT NULL, lane TEXT NOT NULL, turn INTEGER NOT NULL,
  PRIMARY KEY (queue, level, lane)
) WITHOUT ROWID;
-- The round that is being taken.
CREATE TABLE rounds (
  queue INTEGER NOT NULL, level INTEGER NOT NULL, turn INTEGER NOT NULL, PRIMARY KEY (queue, level)
) WITHOUT ROWID;
