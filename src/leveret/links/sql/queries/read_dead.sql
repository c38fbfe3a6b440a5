SELECT dead.id, queues.name, dead.reason, dead.at, dead.encoded, dead.charges
FROM dead JOIN queues ON queues.no = dead.queue
WHERE (?1 IS NULL OR queues.name = ?1)
ORDER BY dead.no DESC LIMIT ?2
