INSERT INTO boxes (address, box, at) VALUES (?, ?, ?) ON CONFLICT (address) DO UPDATE SET box = excluded.box, at = excluded.at
