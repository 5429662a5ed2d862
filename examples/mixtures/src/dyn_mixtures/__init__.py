"""Mixtures: DMNN's sub-blocks with RDI-Net's router and SP-Net's objective, on dyncore."""
