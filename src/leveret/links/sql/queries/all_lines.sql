SELECT kind, key, count(*) FROM limit_lines GROUP BY kind, key
