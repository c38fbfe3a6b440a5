DELETE FROM messages WHERE seq = ?
