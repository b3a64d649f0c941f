"""`python -m skipglass`: the command line, as torchrun starts it (`torchrun -m skipglass train …`)."""

from skipglass.cli.main import main

main()
