SELECT dead.id, queues.name, dead.reason, dead.at, dead.encoded, dead.charges
FROM dead JOIN queues ON queues.no = dead.queue
WHERE (? IS NULL OR queues.name = ?)
ORDER BY dead.no DESC LIMIT ?
