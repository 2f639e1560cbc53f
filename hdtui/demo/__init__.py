"""Worlds to try the cockpit with: written at once, without a worker."""
