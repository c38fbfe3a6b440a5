DELETE FROM ready
WHERE (suspect, queue, level, seq) IN (
  SELECT suspect, queue, level, seq FROM ready WHERE suspect = ? AND queue = ? ORDER BY level, seq LIMIT ?)
RETURNING seq
