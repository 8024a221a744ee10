"""iCE40: primitives, PLL, flow and timing."""
