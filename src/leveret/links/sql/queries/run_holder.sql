SELECT runs.session, sessions.id FROM runs LEFT JOIN sessions ON sessions.id = runs.session
WHERE runs.id = ? AND runs.attempt = ?
