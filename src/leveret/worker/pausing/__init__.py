"""What is paused is neither claimed nor begun."""
