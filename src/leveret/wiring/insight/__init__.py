"""Joins what looks into broker, store and nodes for people: `explain` and `doctor`."""
