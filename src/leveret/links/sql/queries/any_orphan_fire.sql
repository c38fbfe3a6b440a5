SELECT EXISTS (SELECT 1 FROM schedule_fires WHERE at <= ?)
