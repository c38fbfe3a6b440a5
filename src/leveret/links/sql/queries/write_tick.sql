UPDATE fleet SET tick = ?, reap_from = ? WHERE one = 1
