SELECT queue, count(*), min(sent) FROM messages WHERE seq > (SELECT sorted FROM fleet) GROUP BY queue
