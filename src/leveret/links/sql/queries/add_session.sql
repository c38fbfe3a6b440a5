INSERT INTO sessions (id, incarnation, pid, quarantine) VALUES (?, ?, ?, ?) ON CONFLICT (id) DO NOTHING
