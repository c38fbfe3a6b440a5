"""The verbs that look at queues, results and settings, one per file."""
