"""`python -m leveret.cli`: the command line without its script."""

from leveret.cli.main import main

main()
