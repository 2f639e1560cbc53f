"""Networks and nothing else: what reads robots and observations and gives action means or values."""
