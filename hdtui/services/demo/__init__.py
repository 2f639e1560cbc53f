"""The demo: a made-up workspace that shows every screen filled; nothing in it was trained."""
