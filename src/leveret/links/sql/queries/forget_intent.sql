DELETE FROM outbox WHERE id = ?
