"""A static network and a smaller one that share their convolutions.

The smaller one keeps the first blocks of every stage, and has norms and a last layer of its own, as
widths have in "Slimmable Neural Networks" (Yu et al. 2019, section 3.2). Both answer in a cascade.
"""

from dyncore.registry import Method

METHOD = Method(
    name="nested",
    nested=(0.4,),
    one_path=True,
    backbones=(
        *(f"resnet{n}-cifar" for n in (20, 32, 56, 110)),
        *(f"resnet{n}" for n in (50, 101)),
    ),
)
