SELECT messages.seq, claims.number, messages.once, messages.count, messages.charges, messages.encoded,
       messages.queue, messages.suspect
FROM claims CROSS JOIN messages ON messages.seq = claims.seq
WHERE claims.session = ?
ORDER BY messages.level, messages.turn, messages.seq
