"""Stage configurations and presets."""
