"""Measurements of Leveret alone: each prints its figures beside the limit the project promises, and writes them down."""
