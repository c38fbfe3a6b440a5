SELECT messages.seq, messages.count, messages.once, messages.charges, messages.encoded
FROM ready CROSS JOIN messages ON messages.seq = ready.seq
WHERE ready.suspect = ? AND ready.queue = ? AND ready.level = ? AND ready.seq <= ?
ORDER BY ready.seq
