"""What a worker process tells others of its tasks: events, signals, counts. None of it may hold up a task."""
