INSERT INTO schedules (name, source, revision, entry, cursor, due) VALUES (?, ?, ?, ?, ?, 0)
ON CONFLICT (name) DO UPDATE SET
  source = excluded.source, revision = excluded.revision, entry = excluded.entry, cursor = excluded.cursor, due = 0
