"""The command line. Each command is a module with `add` (its parser) and `run`."""
