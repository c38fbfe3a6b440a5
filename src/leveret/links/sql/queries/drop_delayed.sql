DELETE FROM delayed WHERE due = ? AND seq = ?
