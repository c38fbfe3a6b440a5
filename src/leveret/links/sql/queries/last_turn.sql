SELECT max(
  coalesce((SELECT turn FROM rounds WHERE queue = ?1 AND level = ?2), 0),
  coalesce((SELECT turn FROM lanes WHERE queue = ?1 AND level = ?2 AND lane = ?3), 0))
