"""`python -m classifier` is `dualuse`."""

from classifier.cli import main

main(prog_name="dualuse")
