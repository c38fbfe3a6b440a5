INSERT OR IGNORE INTO schedule_fires (name, revision, moment, fire, at) VALUES (?, ?, ?, ?, ?)
