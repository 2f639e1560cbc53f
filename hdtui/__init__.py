"""The cockpit and its commands: screens over services; never torch, never mujoco."""
