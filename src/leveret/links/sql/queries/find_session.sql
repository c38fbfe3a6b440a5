SELECT no, number FROM sessions WHERE id = ?
