"""Train a recipe of LC-Net: ``accelerate launch methods/lcnet/train.py RECIPE --data ...``."""

from dyncore.cli import train_main

if __name__ == "__main__":
    train_main("lcnet")
