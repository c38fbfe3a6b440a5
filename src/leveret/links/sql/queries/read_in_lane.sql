SELECT once, count, charges, encoded, lane FROM messages WHERE seq = ?
