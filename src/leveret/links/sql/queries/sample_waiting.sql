SELECT queues.name, messages.encoded FROM messages JOIN queues ON queues.no = messages.queue
WHERE messages.seq NOT IN (SELECT seq FROM claims) ORDER BY messages.seq LIMIT ?
