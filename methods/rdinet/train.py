"""Train a recipe of RDI-Net: ``accelerate launch methods/rdinet/train.py RECIPE --data ...``."""

from dyncore.cli import train_main

if __name__ == "__main__":
    train_main("rdinet")
