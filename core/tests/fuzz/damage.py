"""Ways to damage a file. Each takes a generator of random numbers and what is whole."""

import json
import struct
from collections.abc import Callable
from random import Random
from typing import Any

Bytes = Callable[[Random, bytes], bytes]
Json = Callable[[Random, Any], Any]

NAMES = [
    "../../../etc/passwd", "/etc/passwd", "..", "", "a\0b", "\x1b[31mred", "nul", "C:\\x", "a/b",
    "~root", "x" * 100_000, "${HOME}", "; rm -rf /", "\u202egnp", "\ud800".encode(
        "utf-8", "surrogatepass").decode("utf-8", "replace"),
]  # fmt: skip
NUMBERS = [0, -1, 2**31, 2**63, 10**9, 10**18, 10**100, 10**4000, -(10**9), 1e308, -1e308, 1e-320]
VALUES: list[Any] = [None, True, False, 0, 7, -1, 1.5, "", "7", [], [0], {}, {"name": "x"}, [[]]]


def truncated(random: Random, data: bytes) -> bytes:
    return data[: random.randrange(len(data))]


def flipped(random: Random, data: bytes) -> bytes:
    changed = bytearray(data)
    for _ in range(random.randint(1, 8)):
        changed[random.randrange(len(changed))] = random.randrange(256)
    return bytes(changed)


def end_flipped(random: Random, data: bytes) -> bytes:
    """Where parquet has its schema."""
    tail = min(len(data), random.choice([16, 200, 2000]))
    return data[:-tail] + flipped(random, data[-tail:])


def start_flipped(random: Random, data: bytes) -> bytes:
    """Where an image has its size."""
    head = min(len(data), random.choice([16, 64, 200]))
    return flipped(random, data[:head]) + data[head:]


def appended(random: Random, data: bytes) -> bytes:
    return data + random.randbytes(random.randint(1, 1000))


def doubled(random: Random, data: bytes) -> bytes:
    """A piece stands twice, so that everything after it is displaced."""
    start, end = sorted(random.randrange(len(data)) for _ in range(2))
    return data[: end + 1] + data[start:]


def noise(random: Random, data: bytes) -> bytes:
    return random.randbytes(random.randint(0, 2000))


def encoded(random: Random, data: bytes) -> bytes:
    """Another encoding than UTF-8, or none."""
    text = data.decode()
    wrong = [text.encode("utf-16"), text.encode("utf-32"), b"\xef\xbb\xbf" + data, b"\xff" + data]
    return random.choice([*wrong, data + b"\0", data.replace(b'"', b"'")])


BYTES: dict[str, Bytes] = {
    "truncated": truncated,
    "bytes changed": flipped,
    "bytes appended": appended,
    "piece doubled": doubled,
    "noise": noise,
}


def places(value: Any, found: list[tuple[Any, Any]] | None = None) -> list[tuple[Any, Any]]:
    """(object or list, key) of everything inside a JSON value."""
    found = [] if found is None else found
    items = value.items() if isinstance(value, dict) else enumerate(value)
    for key, inner in items:
        found.append((value, key))
        if isinstance(inner, (dict, list)):
            places(inner, found)
    return found


def missing(random: Random, value: Any) -> Any:
    for _ in range(random.choice([1, 1, 1, 3])):
        if found := places(value):
            inside, key = random.choice(found)
            del inside[key]
    return value


def extra(random: Random, value: Any) -> Any:
    objects = [value, *(i[k] for i, k in places(value) if isinstance(i[k], dict))]
    random.choice(objects)[random.choice([*NAMES, "name", "format"])] = random.choice(VALUES)
    return value


def retyped(random: Random, value: Any) -> Any:
    inside, key = random.choice(places(value))
    inside[key] = random.choice(VALUES)
    return value


def absurd(random: Random, value: Any) -> Any:
    """A number that no file needs; or a list of very many small ones."""
    numbers = [(i, k) for i, k in places(value) if type(i[k]) in (int, float)]
    inside, key = random.choice(numbers)
    inside[key] = random.choice(NUMBERS)
    if random.random() < 0.2:
        lists = [(i, k) for i, k in places(value) if isinstance(i[k], list) and i[k]]
        inside, key = random.choice(lists)
        inside[key] = inside[key] * random.choice([2, 100, 20_000])
    return value


def renamed(random: Random, value: Any) -> Any:
    texts = [(i, k) for i, k in places(value) if isinstance(i[k], str)]
    inside, key = random.choice(texts)
    inside[key] = random.choice(NAMES)
    return value


def nested(random: Random, value: Any) -> str:
    """Very deep, in place of some value; as text, since json.dumps gives up first."""
    inside, key = random.choice(places(value))
    inside[key] = "@"
    opening, closing = random.choice([("[", "]"), ('{"a":', "}")])
    depth = random.choice([40, 500, 990, 5000, 200_000])
    return json.dumps(value).replace('"@"', opening * depth + "1" + closing * depth, 1)


def twice(random: Random, value: Any) -> str:
    """A key that stands twice: with its own value, or with another."""
    objects = [(i, k) for i, k in places(value) if isinstance(i, dict)]
    inside, key = random.choice(objects)
    second = random.choice([inside[key], *VALUES])
    inside["@"] = second
    return json.dumps(value).replace('"@"', json.dumps(key), 1)


def not_finite(random: Random, value: Any) -> str:
    inside, key = random.choice(places(value))
    inside[key] = "@"
    text = random.choice(["NaN", "Infinity", "-Infinity", "1e999", "-1e400"])
    return json.dumps(value).replace('"@"', text, 1)


JSON: dict[str, Json] = {
    "key missing": missing,
    "key extra": extra,
    "wrong type": retyped,
    "absurd number": absurd,
    "strange name": renamed,
    "nested deeply": nested,
    "key twice": twice,
    "number not finite": not_finite,
}


def header_length(random: Random, data: bytes) -> bytes:
    """The first 8 bytes of a safetensors file say how long its header is."""
    lengths = [0, 1, 2**63, 2**64 - 1, 10**8, 10**12, len(data), random.randrange(2**32)]
    return struct.pack("<Q", random.choice(lengths)) + data[8:]


def split_weights(data: bytes) -> tuple[dict[str, Any], bytes]:
    end = 8 + struct.unpack("<Q", data[:8])[0]
    return json.loads(data[8:end]), data[end:]


def join_weights(header: dict[str, Any] | str, values: bytes) -> bytes:
    text = (header if isinstance(header, str) else json.dumps(header)).encode()
    return struct.pack("<Q", len(text)) + text + values


def in_header(damage: Json) -> Bytes:
    """The damage done to the header of a safetensors file, which is JSON."""

    def change(random: Random, data: bytes) -> bytes:
        header, values = split_weights(data)
        return join_weights(damage(random, header), values)

    return change


def header_shape(random: Random, data: bytes) -> bytes:
    """A tensor claims another shape, and perhaps other offsets."""
    header, values = split_weights(data)
    names = [name for name in header if name != "__metadata__" and header[name]["shape"]]
    tensor = header[random.choice(names)]
    tensor["shape"] = [random.choice(NUMBERS[:8]) for _ in range(random.randint(0, 5))]
    if random.random() < 0.5:
        tensor["data_offsets"][1] = random.choice([0, len(values), 2**40, 2**64 - 1])
    return join_weights(header, values)


def header_type(random: Random, data: bytes) -> bytes:
    """A tensor claims another type, of the same or of another length."""
    header, values = split_weights(data)
    tensor = header[random.choice([name for name in header if name != "__metadata__"])]
    types = ["F64", "F32", "F16", "BF16", "I64", "U32", "I32", "U8", "BOOL", "F8_E4M3", "C64", "X"]
    tensor["dtype"] = random.choice([name for name in types if name != tensor["dtype"]])
    return join_weights(header, values)


def swapped(random: Random, data: bytes) -> bytes:
    """Two tensors lie over one another, or have changed places."""
    header, values = split_weights(data)
    names = [name for name in header if name != "__metadata__"]
    first, second = (header[name] for name in random.sample(names, 2))
    if random.random() < 0.5:
        first["data_offsets"] = second["data_offsets"]
    else:
        first["shape"], second["shape"] = second["shape"], first["shape"]
    return join_weights(header, values)


def cut_header(random: Random, data: bytes) -> bytes:
    length = struct.unpack("<Q", data[:8])[0]
    return data[: random.randrange(8 + length)]


def cut_values(random: Random, data: bytes) -> bytes:
    length = struct.unpack("<Q", data[:8])[0]
    return data[: random.randrange(8 + length, len(data))]
