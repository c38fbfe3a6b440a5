INSERT INTO seats (joined, place, value) VALUES (?, ?, ?) ON CONFLICT DO NOTHING
