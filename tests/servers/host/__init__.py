"""What every server needs of the machine: ports, processes, a folder, certificates."""
