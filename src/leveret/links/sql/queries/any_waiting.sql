SELECT 1 WHERE EXISTS (SELECT 1 FROM messages WHERE seq > (SELECT sorted FROM fleet) AND queue = ?1)
            OR EXISTS (SELECT 1 FROM turns WHERE queue = ?1)
