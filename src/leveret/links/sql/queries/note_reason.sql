INSERT INTO limit_reasons (id, bound, key, until, at, ahead) VALUES (?, ?, ?, ?, ?, ?)
ON CONFLICT (id) DO UPDATE SET
  bound = excluded.bound, key = excluded.key, until = excluded.until, at = excluded.at, ahead = excluded.ahead
