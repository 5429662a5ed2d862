"""Train a recipe of DMNN: ``accelerate launch methods/dmnn/train.py RECIPE --data ...``."""

from dyncore.cli import train_main

if __name__ == "__main__":
    train_main("dmnn")
