"""Studies: questions as graphs of runs, what they have found, and how to ask one."""
