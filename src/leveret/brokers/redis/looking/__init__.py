"""What people ask of Redis that reads a lot."""
