"""Photographs through real worker processes, one of which is killed half-way: `make demo`."""
