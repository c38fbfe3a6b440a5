SELECT max(coalesce((SELECT max(seq) FROM messages), 0), sorted), sorted FROM fleet
