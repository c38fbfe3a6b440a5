SELECT queues.name, dead.encoded, dead.charges, dead.reason, dead.at
FROM dead JOIN queues ON queues.no = dead.queue
WHERE dead.id = ? ORDER BY dead.no DESC LIMIT 1
