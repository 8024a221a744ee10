"""Self-test: a small bitstream that measures instead of computing, and its door."""
