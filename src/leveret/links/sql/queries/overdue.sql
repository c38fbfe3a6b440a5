SELECT id, postings FROM outbox WHERE due <= ? ORDER BY due LIMIT ?
