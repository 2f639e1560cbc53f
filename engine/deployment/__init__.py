"""A student and a robot become one small MLP in a file that needs nothing of ours to run."""
