UPDATE messages SET suspect = 1 WHERE seq = ?
