"""`python -m movierec_engine.cli`: the command `movierec`."""

from movierec_engine.cli.main import main

main()
