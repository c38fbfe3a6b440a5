"""What the tasks of the drills are allowed."""

RATE, SLOTS, TRIES = 50, 5, 4
"""Starts a second; runs at once; runs of a task that fails."""
