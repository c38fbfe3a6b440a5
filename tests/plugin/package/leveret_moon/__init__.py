"""A third-party package with one part of each kind, as its author would publish it."""
