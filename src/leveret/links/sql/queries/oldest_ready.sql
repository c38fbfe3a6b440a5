SELECT sent FROM messages
WHERE seq = (SELECT min(seq) FROM ready WHERE suspect = ? AND queue = ? AND level = ?)
