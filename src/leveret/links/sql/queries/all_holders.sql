SELECT key, count(*) FROM limit_holders GROUP BY key
