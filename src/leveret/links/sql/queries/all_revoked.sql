SELECT mark FROM (
  SELECT mark, until FROM revocations UNION SELECT id, coalesce(expires, 1e18) FROM results WHERE state = 'REVOKED'
) ORDER BY until DESC LIMIT ?
