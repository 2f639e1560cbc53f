"""The list of runs and what one can do to them."""
