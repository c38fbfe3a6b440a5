SELECT limit_reasons.id, bound, limit_reasons.key, until, at, ahead
FROM (SELECT value AS wanted FROM json_each(?)) CROSS JOIN limit_reasons ON limit_reasons.id = wanted
