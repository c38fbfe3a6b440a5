SELECT fire FROM schedule_fires WHERE at <= ? ORDER BY at LIMIT ?
