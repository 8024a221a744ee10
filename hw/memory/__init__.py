"""Memory: activations, and who reads them where."""
