DELETE FROM runs WHERE at <= ? AND session NOT IN (SELECT id FROM sessions)
