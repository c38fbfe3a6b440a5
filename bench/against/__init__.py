"""Leveret beside other systems and the raw limit of the medium: one file a medium."""
