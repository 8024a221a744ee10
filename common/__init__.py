"""What hardware, software and simulation share, and what knows none of them."""
