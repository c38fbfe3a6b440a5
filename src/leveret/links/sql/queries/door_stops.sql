SELECT 1 FROM doors WHERE id = :id AND attempt >= :attempt
UNION ALL
SELECT 1 FROM results
WHERE id = :id AND (expires IS NULL OR expires > :now) AND state <> 'REVOKED'
  AND (terminal OR attempt > :attempt OR (attempt = :attempt AND (tombstone OR state = 'RETRY')))
LIMIT 1
