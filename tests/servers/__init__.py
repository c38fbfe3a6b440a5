"""Real servers for the tests, private to each run; and a proxy that breaks the way to them."""
