"""One file per system: run inside that system's own virtual environment, standard library and the system only."""
