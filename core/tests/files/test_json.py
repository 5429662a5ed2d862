"""What a stranger's JSON may not do: mean two things, be without end."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dyncore.files import parse_json

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)  # fmt: skip


@given(VALUES)
def test_what_json_writes_is_read(value):
    assert parse_json(json.dumps(value).encode()) == value


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"a": 1, "a": 1}', "the key 'a' stands twice"),
        ('{"b": [{"a": 1, "c": 2, "a": 3}]}', "the key 'a' stands twice"),
        ('{"a": NaN}', "NaN is not a finite number"),
        ("[-Infinity]", "-Infinity is not a finite number"),
        ("1e999", "1e999 is not a finite number"),
        ("[" * 33 + "]" * 33, "nested deeper than 32 levels"),
        ("[" * 10**6 + "]" * 10**6, "nested deeper than 32 levels"),
        ('{"a":' * 5000 + "1" + "}" * 5000, "nested deeper than 32 levels"),
        ("9" * 5000, "4300"),
        ("[1] x", "Extra data"),
        ("\ufeff[1]", "BOM"),
        (" " * (2**24 + 1), "more than 16777216"),
    ],
)
def test_what_has_no_one_meaning_is_refused(text, message):
    with pytest.raises(ValueError, match=message) as error:
        parse_json(text.encode())
    assert len(str(error.value)) < 200


def test_32_levels_are_read():
    assert parse_json(b"[" * 32 + b"]" * 32)
