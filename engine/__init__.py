"""The engine: from a robot's body to a deployed policy, with no screen and no database."""
