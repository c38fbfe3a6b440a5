-- Bounded: whoever waits for one of a million delayed messages is not told its time.
SELECT queues.name, soon.due
FROM (SELECT due, seq FROM delayed ORDER BY due LIMIT 20000) AS soon
  CROSS JOIN messages ON messages.seq = soon.seq
  JOIN queues ON queues.no = messages.queue
WHERE messages.id = ? LIMIT 1
