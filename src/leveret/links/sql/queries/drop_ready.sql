DELETE FROM ready WHERE suspect = ? AND queue = ? AND level = ? AND seq <= ?
