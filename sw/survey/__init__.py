"""Survey of many networks: which of them run, what falls back, how fast, whether exactly."""
