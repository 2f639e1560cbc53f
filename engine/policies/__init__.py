"""Networks and nothing else: they read robots and observations, and give action means or values."""
