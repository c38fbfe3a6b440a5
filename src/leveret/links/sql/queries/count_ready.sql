SELECT count(*) FROM ready WHERE suspect = ? AND queue = ?
