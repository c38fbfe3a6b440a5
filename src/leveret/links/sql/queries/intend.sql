INSERT INTO outbox (id, due, postings) VALUES (?, ?, ?) ON CONFLICT (id) DO UPDATE SET due = excluded.due, postings = excluded.postings
