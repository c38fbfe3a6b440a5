UPDATE sessions SET orphaned = ? WHERE no = ?
