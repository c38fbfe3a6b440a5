SELECT (SELECT no FROM limit_lines WHERE kind = :kind AND key = :key AND id = :id),
       (SELECT min(until) FROM limit_lines WHERE kind = :kind AND key = :key)
