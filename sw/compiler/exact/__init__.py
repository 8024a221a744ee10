"""Exactness: multipliers, shifts and biases that give the reference's integers, with the proof."""
