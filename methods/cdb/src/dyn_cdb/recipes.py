"""CDB's training set-ups, one per row of Tables 2 to 5, and small ones that are ours."""

from dyn_cdb.method import METHOD
from dyncore.recipes import ContextRow, Print, context_recipes

TABLE_2 = tuple(
    ContextRow("Table 2", f"CDB-{layers}", f"resnet{layers}", "imagenet", n, r)
    for layers, n, rates in (
        (50, 2, (0.4, 0.5, 0.6, 0.7)),
        (50, 3, (0.7,)),
        (50, 4, (0.7,)),
        (101, 2, (0.3, 0.5, 0.7)),
    )
    for r in rates
)

TABLE_3 = tuple(
    ContextRow("Table 3", model, backbone, "imagenet", 2, r)
    for model, backbone in (
        ("CDB-MobileNetV2", "mobilenetv2"),
        ("CDB-MobileNetV2 (1.4)", "mobilenetv2-1.4"),
    )
    for r in (0.7, 0.8, 0.9)
)

TABLE_4 = (
    ContextRow("Table 4", "CDB-50", "resnet50-cifar2", "cifar100", 2, 0.5),
    ContextRow("Table 4", "CDB-50", "resnet50-cifar2", "cifar100", 2, 0.7),
    ContextRow("Table 4", "CDB-50", "resnet50-cifar2", "cifar100", 4, 0.7),
)

SWITCHES = (
    ("CDB-50", False, False, "no-ca-no-cs"),
    ("CDB-50 + CA", True, False, "no-cs"),
    ("CDB-50 + CS", False, True, "no-ca"),
    ("CDB-50 + CA + CS", True, True, "ca-cs"),
)
"""Row, CA, CS, variant. The last row is one of Table 2, too."""

TABLE_5 = tuple(
    ContextRow("Table 5", model, "resnet50", "imagenet", 2, 0.7, context, supervised, variant)
    for model, context, supervised, variant in SWITCHES
)

RECIPES = context_recipes(
    METHOD,
    "CDB",
    TABLE_2 + TABLE_3 + TABLE_4 + TABLE_5,
    printed=Print.of("dyn_cdb"),
)
