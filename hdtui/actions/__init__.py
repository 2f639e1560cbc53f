"""What a key or a command does to the workspace, and the sentence that answers it."""
