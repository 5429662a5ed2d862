"""Train a recipe of SP-Net: ``accelerate launch methods/spnet/train.py RECIPE --data ...``."""

from dyncore.cli import train_main

if __name__ == "__main__":
    train_main("spnet")
