SELECT 1 FROM ready WHERE suspect = ? AND queue = ? LIMIT 1
