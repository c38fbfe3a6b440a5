SELECT messages.seq
FROM (SELECT due, seq FROM delayed WHERE due <= ? ORDER BY due, seq LIMIT ?) AS soon
  CROSS JOIN messages ON messages.seq = soon.seq
WHERE messages.lane IS NOT NULL AND NOT messages.suspect
ORDER BY soon.due, soon.seq
