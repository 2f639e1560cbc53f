"""The only meeting point of workers and screens: runs, metrics, robots and artifacts, by name."""
