SELECT incarnation, pid FROM nodes WHERE name = ? AND boot = ? AND incarnation <> ?
