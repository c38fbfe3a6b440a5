"""Speed, side by side with the peers, and the drills behind the figures in the README: `python -m bench --help`."""
