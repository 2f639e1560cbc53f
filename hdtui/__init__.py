"""The cockpit and its commands: screens over data and actions; never torch, never mujoco."""
