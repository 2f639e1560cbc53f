"""The process edge: run states, the supervisor, one job per stage, the recorder."""
