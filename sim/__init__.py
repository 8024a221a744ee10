"""Models and harnesses for simulation."""
