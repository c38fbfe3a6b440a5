SELECT 1 FROM messages WHERE id = ? AND attempt = ? AND queue = ? LIMIT 1
