INSERT INTO revocations (mark, until) VALUES (?, ?) ON CONFLICT (mark) DO UPDATE SET until = max(until, excluded.until)
