"""Widgets draw one thing each."""
