INSERT INTO nodes (incarnation, name, boot, pid, facts, expires) VALUES (?, ?, ?, ?, ?, ?)
ON CONFLICT (incarnation) DO UPDATE SET facts = excluded.facts, expires = excluded.expires
