"""One run: a tab for each side of it."""
