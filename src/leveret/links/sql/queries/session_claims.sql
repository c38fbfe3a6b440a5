SELECT seq, number FROM claims WHERE session = ? ORDER BY seq
