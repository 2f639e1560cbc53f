"""Robots of the library, one robot, new robots."""
