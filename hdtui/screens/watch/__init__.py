"""Recorded robots, walking."""
