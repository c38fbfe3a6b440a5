DELETE FROM delayed
WHERE (due, seq) IN (SELECT due, seq FROM delayed WHERE due <= ? ORDER BY due, seq LIMIT ?)
