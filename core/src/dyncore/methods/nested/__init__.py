"""A static network with a smaller one inside, for cascades."""
