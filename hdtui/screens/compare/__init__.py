"""Curves of marked runs by group."""
