SELECT queue, level, lane, turn FROM messages WHERE seq = ?
