import pytest
from hypothesis import given
from hypothesis import strategies as st

from dyncore.blocks import Granularity, bottleneck_width, even_width

CDB_TABLE_1 = {
    1: (64, 128, 256, 512),
    2: (38, 76, 152, 304),
    3: (30, 60, 120, 240),
    4: (24, 48, 96, 192),
}


def bottleneck_parameters(in_channels: int, width: int, out_channels: int) -> int:
    """Weights of 1×1, 3×3 and 1×1 convolution, counted one kernel after the other."""
    shapes = [(width, in_channels, 1), (width, width, 9), (out_channels, width, 1)]
    return sum(out * into * kernel for out, into, kernel in shapes)


@pytest.mark.parametrize("paths", CDB_TABLE_1)
def test_bottleneck_widths_are_printed_in_cdb_table_1(paths):
    widths = [bottleneck_width(4 * c, c, 4 * c, paths) for c in (64, 128, 256, 512)]

    assert tuple(widths) == CDB_TABLE_1[paths]


def total(paths: int, block: int, width: int) -> int:
    """Weights of N paths of ``width`` in a bottleneck block of width ``block``."""
    return paths * bottleneck_parameters(4 * block, width, 4 * block)


@pytest.mark.parametrize("block", [64, 128, 256, 512])
@pytest.mark.parametrize("paths", [5, 6, 7, 8, 12, 16])
def test_other_widths_are_the_nearest_to_the_size_of_the_original(paths, block):
    original = total(1, block, block)

    chosen = bottleneck_width(4 * block, block, 4 * block, paths)

    nearest = min(range(1, block + 1), key=lambda width: abs(total(paths, block, width) - original))
    assert chosen == nearest


@pytest.mark.parametrize(("paths", "block"), [(5, 64), (6, 128), (6, 256), (16, 512)])
def test_size_is_within_two_percent(paths, block):
    chosen = bottleneck_width(4 * block, block, 4 * block, paths)

    assert total(paths, block, chosen) == pytest.approx(total(1, block, block), rel=0.02)


@given(st.integers(1, 600), st.integers(1, 20))
def test_even_width_is_the_nearest_to_an_equal_share(width, paths):
    chosen = even_width(width, paths)

    assert chosen >= 1
    assert chosen == 1 or abs(chosen - width / paths) <= 0.5
    if width % paths == 0:
        assert chosen * paths == width


@given(st.integers(1, 64), st.integers(1, 30))
def test_no_path_is_empty(width, paths):
    assert bottleneck_width(4 * width, width, 4 * width, paths) >= 1


def test_granularity_refuses_what_is_not_defined():
    with pytest.raises(ValueError, match=r"granularity\.paths must be at least 1, not 0"):
        Granularity(paths=0)
    with pytest.raises(ValueError, match=r"granularity\.channels needs granularity\.paths = 1"):
        Granularity(paths=2, channels=True)
