"""Commands of the command line, as plain functions."""
