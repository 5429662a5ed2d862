"""The page: whole in itself, in words too, and safe whatever a model is called."""

import base64
from html.parser import HTMLParser
from xml.etree import ElementTree

import pytest
import torch
from PIL import Image

from dyncore.data import Dataset, MemorySplit, Preprocessing
from dyncore.report import write_report

STRANGE = "<script>alert(1)</script> $\\frac"


class Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data):
        self.text += data

    def of(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for found, attributes in self.tags if found == tag]


def insects(images: int = 60) -> Dataset:
    generator = torch.Generator().manual_seed(0)
    pixels = torch.randint(256, (images, 3, 8, 8), generator=generator, dtype=torch.uint8)
    return Dataset(
        name="insects",
        classes=("ant", "bee", "<b>$cat$</b>"),
        train=None,
        test=MemorySplit(pixels, torch.arange(images) % 3),
        preprocessing=Preprocessing(mean=(0.5,) * 3, std=(0.25,) * 3, size=8),
    )


@pytest.fixture(scope="module")
def report(subject, tmp_path_factory):
    folder = tmp_path_factory.mktemp("report")
    subjects = [
        subject(STRANGE, 0, channels=True),
        *(subject("vanilla", seed) for seed in (1, 2)),
        subject("static", gated=False),
    ]
    return write_report(subjects, folder, dataset=insects())


@pytest.fixture(scope="module")
def read(report) -> Reader:
    reader = Reader()
    reader.feed(report.read_text(encoding="utf-8"))
    return reader


def test_every_figure_is_inside_and_has_words(read):
    images = read.of("img")
    names = [figure["id"] for figure in read.of("figure")]
    assert len(set(names)) == len(names) == len(images)
    assert {"accuracy-macs", "seeds", "histogram", "deciles", "rates-3-blocks"} < set(names)
    assert {"paths-1", "channels-1", "easy-hard-1", "shared-paths-3"} < set(names)
    for image in images:
        assert len(image["alt"] or "") > 40
        kind, _, data = (image["src"] or "").partition(",")
        assert kind == "data:image/svg+xml;base64"
        ElementTree.fromstring(base64.b64decode(data))
    assert not {tag for tag, _ in read.tags} & {"script", "link", "iframe", "object", "b"}


def test_strangers_names_are_text(read, report):
    assert STRANGE in read.text
    assert "<script" not in report.read_text(encoding="utf-8")


def test_letters_of_figures_follow_the_readers_theme(read):
    for image in read.of("img"):
        svg = base64.b64decode((image["src"] or "").partition(",")[2]).decode()
        assert "prefers-color-scheme:dark" in svg
        body = svg.partition("</style>")[2]
        assert "#1f2328" not in body  # ink is currentColor
        assert "currentColor" in body


def test_files_of_every_figure(read, report):
    for figure in read.of("figure"):
        file = report.parent / "figures" / f"{figure['id']}.png"
        with Image.open(file) as image:
            assert image.width >= 900
        ElementTree.parse(file.with_suffix(".svg"))


def test_the_same_report_is_the_same_file(subject, tmp_path):
    pages = [write_report([subject()], tmp_path / name).read_bytes() for name in "ab"]
    assert pages[0] == pages[1]


def test_other_data_are_refused(subject, tmp_path):
    with pytest.raises(ValueError, match=r"'insects' \(30 images\) is not what was evaluated"):
        write_report([subject()], tmp_path / "new", dataset=insects(30))
    with pytest.raises(ValueError, match="are of 100 classes, the evaluation has 3"):
        write_report([subject()], tmp_path / "new", categories="cifar100-superclasses")
    assert not (tmp_path / "new").exists()
