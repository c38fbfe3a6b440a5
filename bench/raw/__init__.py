"""What a broker gives a client that costs nothing: the limit that no client of it can pass."""
