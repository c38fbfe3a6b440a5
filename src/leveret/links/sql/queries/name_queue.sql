SELECT name FROM queues WHERE no = ?
