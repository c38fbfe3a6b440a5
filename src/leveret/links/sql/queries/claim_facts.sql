SELECT sessions.no, sessions.number, max(coalesce((SELECT max(seq) FROM messages), 0), fleet.sorted), fleet.sorted,
       (SELECT min(due) FROM delayed),
       EXISTS (SELECT 1 FROM results WHERE state = 'REVOKED') OR EXISTS (SELECT 1 FROM revocations),
       EXISTS (SELECT 1 FROM turns)
FROM sessions CROSS JOIN fleet WHERE sessions.id = ?
