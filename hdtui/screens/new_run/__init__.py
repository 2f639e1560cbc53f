"""A run before it is queued: the form, and the dialog of an evaluation."""
