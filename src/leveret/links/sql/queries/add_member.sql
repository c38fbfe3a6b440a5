INSERT INTO added (joined, member, place)
VALUES (?1, ?2, (SELECT coalesce(max(place) + 1, 0) FROM added WHERE joined = ?1))
RETURNING place
