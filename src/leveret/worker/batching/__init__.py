"""Calls of batch tasks, from the claim to their outcomes."""
