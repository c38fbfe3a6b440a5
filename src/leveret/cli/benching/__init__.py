"""What `leveret bench` measures with; `python -m bench` in the repository uses the same parts for every system."""
