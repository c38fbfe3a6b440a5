UPDATE messages SET charges = ? WHERE seq = ?
