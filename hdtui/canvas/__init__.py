"""Robots as characters: recorded capsules in, cells and their colours out; numpy alone."""
