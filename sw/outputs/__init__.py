"""What the outputs of a network say: classes, or objects and where they are."""
