SELECT 1 FROM messages WHERE seq > (SELECT sorted FROM fleet) AND queue = ? LIMIT 1
