"""Values of what is told to whoever watches."""
