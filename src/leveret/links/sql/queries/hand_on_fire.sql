UPDATE schedule_fires SET at = ? WHERE name = ? AND revision = ? AND moment = ?
