DELETE FROM schedule_fires WHERE name = ? AND revision = ? AND moment = ?
