SELECT queue, count(*) FROM delayed GROUP BY queue
