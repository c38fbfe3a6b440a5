SELECT idle, queues FROM bells WHERE address = ?
