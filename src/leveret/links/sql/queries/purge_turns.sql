DELETE FROM turns
WHERE (queue, level, turn, seq) IN (SELECT queue, level, turn, seq FROM turns WHERE queue = ? LIMIT ?)
RETURNING seq
