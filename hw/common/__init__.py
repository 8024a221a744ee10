"""Common: small circuits that many parts use."""
