"""Common: what every package and every tool uses; it imports none of them."""
