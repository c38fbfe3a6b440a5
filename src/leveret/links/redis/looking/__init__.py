"""What people ask of any Redis, broker or not."""
