"""Home: the pipeline, active runs, events."""
