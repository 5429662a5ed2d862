"""DMNN: Dynamic Multi-path Neural Network, on dyncore."""
