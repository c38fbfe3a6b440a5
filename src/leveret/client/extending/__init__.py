"""What an app may add to its worker processes."""
