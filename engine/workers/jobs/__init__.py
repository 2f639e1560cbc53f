"""One job per stage: inputs from the database in, the stage's function, results back."""
