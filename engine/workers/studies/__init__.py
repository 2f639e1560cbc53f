"""Studies: graphs of runs that answer a question, and what they say."""
