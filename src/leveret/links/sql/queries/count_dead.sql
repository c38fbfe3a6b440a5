SELECT queue, count(*) FROM dead GROUP BY queue
