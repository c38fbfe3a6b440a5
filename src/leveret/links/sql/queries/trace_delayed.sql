-- Bounded as `find_delayed` is.
SELECT queues.name, messages.encoded, messages.charges, soon.due
FROM (SELECT due, seq FROM delayed ORDER BY due LIMIT 20000) AS soon
  CROSS JOIN messages ON messages.seq = soon.seq
  JOIN queues ON queues.no = messages.queue
WHERE messages.id = ? LIMIT 1
