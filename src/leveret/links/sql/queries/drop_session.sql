DELETE FROM sessions WHERE no = ?
