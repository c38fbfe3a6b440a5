INSERT INTO bells (address, session, queues, idle) VALUES (?, ?, ?, 1)
ON CONFLICT (address) DO UPDATE SET session = excluded.session, queues = excluded.queues, idle = 1
