"""Every schema this program has had, oldest first; a database is brought up one step at a time."""

SCHEMA = 2
"""The schema this program reads and writes; the newest file in ``versions``."""
