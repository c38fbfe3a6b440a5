SELECT no, id, pid, quarantine FROM sessions WHERE id = ?
