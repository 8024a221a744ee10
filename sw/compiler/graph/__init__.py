"""Graph: passes over it, its division between host and device, channels that are left out."""
