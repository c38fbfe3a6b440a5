-- Says how many seats joins have, for Celery's workers: whose messages are ours tell their size themselves.
-- KEYS: the joins. ARGV: milliseconds to keep it unless somebody sits down, then the size of each.
-- A join that is over is left as it is: this is the same, sent again.

for i, key in ipairs(KEYS) do
  if redis.call('EXISTS', key .. '.c') == 0 then redis.call('SET', key .. '.s', ARGV[i + 1], 'PX', ARGV[1]) end
end
return 1
