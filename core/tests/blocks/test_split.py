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


@pytest.mark.parametrize("width", [64, 128, 256, 512])
@pytest.mark.parametrize("paths", [5, 6, 7, 8, 12, 16])
def test_other_numbers_of_paths_have_the_size_of_the_original(paths, width):
    ends = (4 * width, 4 * width)
    original = bottleneck_parameters(ends[0], width, ends[1])

    def error(candidate: int) -> int:
        return abs(paths * bottleneck_parameters(ends[0], candidate, ends[1]) - original)

    chosen = bottleneck_width(*ends[:1], width, ends[1], paths)

    assert error(chosen) == min(map(error, range(1, width + 1)))
    # One channel more or less changes the size by this share, and rounding may cost half of it.
    assert error(chosen) / original <= max(0.02, 0.5 * (error(chosen + 1) / original + 0.02))


@pytest.mark.parametrize(("paths", "width"), [(5, 64), (8, 128), (6, 256), (16, 512)])
def test_size_is_within_two_percent(paths, width):
    chosen = bottleneck_width(4 * width, width, 4 * width, paths)

    total = paths * bottleneck_parameters(4 * width, chosen, 4 * width)

    original = bottleneck_parameters(4 * width, width, 4 * width)
    assert total == pytest.approx(original, rel=0.02)


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
