"""`python -m digitlab`: the command line."""

from digitlab.cli.main import main

main()
