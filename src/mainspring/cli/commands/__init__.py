"""The commands, each a file of its name with `add_options(parser)` and `run(options)`."""
