DELETE FROM doors
WHERE (id, attempt) = (SELECT id, attempt FROM messages WHERE seq = ?)
