"""Train a recipe of CDB: ``accelerate launch methods/cdb/train.py RECIPE --data ...``."""

from dyncore.cli import train_main

if __name__ == "__main__":
    train_main("cdb")
