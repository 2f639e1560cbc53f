"""What measures the cockpit: a terminal of its own, large workspaces, keys and bytes."""
