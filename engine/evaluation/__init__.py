"""Policies are judged: episodes, statistics over robots, size and speed."""
