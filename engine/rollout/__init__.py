"""The only crossing from simulations (numpy) to networks (torch)."""
