SELECT messages.queue, count(*) FROM claims CROSS JOIN messages ON messages.seq = claims.seq GROUP BY messages.queue
