"""How `leveret worker` starts a node: its name, its size, what it says, what it learns of the app."""
