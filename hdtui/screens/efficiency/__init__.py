"""What an action costs, and the claims of the paper."""
