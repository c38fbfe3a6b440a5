SELECT incarnation, pid, expires FROM nodes WHERE name = ? AND boot = ? AND incarnation <> ?
