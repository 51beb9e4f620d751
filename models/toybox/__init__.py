"""A small world of toys that this repository draws itself, and the networks trained on it."""
