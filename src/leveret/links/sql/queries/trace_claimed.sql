SELECT queues.name, messages.encoded, messages.charges, coalesce(nodes.name, '')
FROM claims CROSS JOIN messages ON messages.seq = claims.seq
  JOIN queues ON queues.no = messages.queue
  LEFT JOIN sessions ON sessions.no = claims.session
  LEFT JOIN nodes ON nodes.incarnation = sessions.incarnation
WHERE messages.id = ? LIMIT 1
