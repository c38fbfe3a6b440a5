"""The verbs that pause and resume queues and task types."""
