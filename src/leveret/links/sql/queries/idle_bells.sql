SELECT address, queues FROM bells WHERE idle
