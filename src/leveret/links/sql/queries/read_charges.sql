SELECT charges FROM messages WHERE seq = ?
