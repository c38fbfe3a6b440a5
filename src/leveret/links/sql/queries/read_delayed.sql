-- The next ones of one queue. Bounded as `find_delayed` is: a million of other queues may be due earlier.
SELECT queues.name, messages.encoded, messages.charges, soon.due
FROM (SELECT due, seq, queue FROM delayed ORDER BY due LIMIT 20000) AS soon
  CROSS JOIN messages ON messages.seq = soon.seq
  JOIN queues ON queues.no = messages.queue
WHERE soon.queue = ? ORDER BY soon.due LIMIT ?
