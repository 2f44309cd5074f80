"""One module for each verb of the command line: `add_arguments(parser)` and `run(args)`, which returns the exit code."""
