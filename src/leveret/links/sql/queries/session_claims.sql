SELECT seq FROM claims WHERE session = ? ORDER BY seq
