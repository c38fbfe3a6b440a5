SELECT queues.name, dead.reason FROM dead JOIN queues ON queues.no = dead.queue
WHERE dead.id = ? ORDER BY dead.no DESC LIMIT 1
