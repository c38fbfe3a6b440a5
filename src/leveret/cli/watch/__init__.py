"""Verbs that watch: they go on until they are told to stop."""
