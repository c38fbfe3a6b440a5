SELECT no FROM queues WHERE name = ?
