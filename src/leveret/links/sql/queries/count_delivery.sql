UPDATE messages SET count = count + 1 WHERE seq = ?
