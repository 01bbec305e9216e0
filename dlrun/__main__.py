"""`python -m dlrun`."""

from dlrun.cli.app import main

main()
