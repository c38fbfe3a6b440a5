INSERT INTO testimonies (id, charges, suspect, at) VALUES (?, ?, ?, ?)
ON CONFLICT (id) DO UPDATE SET charges = excluded.charges, suspect = excluded.suspect, at = excluded.at
