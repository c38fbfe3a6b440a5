-- Members that were added to a join while it was open (`add_to_chord`), and their places among those.
CREATE TABLE added (
  joined TEXT NOT NULL, member TEXT NOT NULL, place INTEGER NOT NULL, PRIMARY KEY (joined, member)
) WITHOUT ROWID;
