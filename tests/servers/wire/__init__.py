"""What goes by a proxy, and what may happen to it there."""
