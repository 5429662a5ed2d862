"""DMNN's training set-ups, one per row of Tables 1 to 4, and small ones that are ours."""

from dyn_dmnn.method import METHOD
from dyncore.recipes import ContextRow, Print, context_recipes

TABLE_1 = (
    *(ContextRow("Table 1", "DMNN-50", "resnet50", "imagenet", 2, r) for r in (0.4, 0.5, 0.6, 0.7)),
    ContextRow("Table 1", "DMNN-50", "resnet50", "imagenet", 3, 0.7),
    ContextRow("Table 1", "DMNN-50", "resnet50", "imagenet", 4, 0.7),
    *(ContextRow("Table 1", "DMNN-101", "resnet101", "imagenet", 2, r) for r in (0.3, 0.5, 0.7)),
)

TABLE_2 = tuple(
    ContextRow("Table 2", f"DMNN-MobileNetV2{width}", backbone, "imagenet", 2, r)
    for width, backbone in (("", "mobilenetv2"), (" (1.4)", "mobilenetv2-1.4"))
    for r in (0.7, 0.8, 0.9)
)

TABLE_3 = tuple(
    ContextRow("Table 3", "DMNN-50", "resnet50-cifar2", "cifar100", n, t)
    for n, t in ((2, 0.5), (2, 0.7), (4, 0.7))
)

TABLE_4 = tuple(
    ContextRow("Table 4", model, "resnet50", "imagenet", 2, 0.7, previous, category, variant)
    for model, previous, category, variant in (
        ("DMNN-50", False, False, "no-prev-no-cat"),
        ("DMNN-50 + PREV", True, False, "no-cat"),
        ("DMNN-50 + CAT", False, True, "no-prev"),
        ("DMNN-50 + PREV + CAT", True, True, "prev-cat"),
    )
)
"""Model, PREV, CAT, variant. The last row is one of Table 1, too."""

RECIPES = context_recipes(
    METHOD,
    "DMNN",
    TABLE_1 + TABLE_2 + TABLE_3 + TABLE_4,
    printed=Print.of("dyn_dmnn"),
)
