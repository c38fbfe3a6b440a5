UPDATE messages SET turn = ? WHERE seq = ?
