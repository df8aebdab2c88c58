"""Names of files and titles of images whose labels are hostile: a model's card may hold any."""

from __future__ import annotations

import re
from xml.etree import ElementTree as ET

import pytest

from models.config import Geometry
from service.api.image_names import file_name, title
from service.contract.request import JobRequest
from service.vector.svg import svg
from service.vector.vector_form import vector_form
from tests.service.vector.drawings import LETTER_L, ROUNDED, image

FORM = vector_form(image(LETTER_L, ground=ROUNDED))
HOSTILE = [
    "../../etc/passwd",
    'a"; filename="x.html',
    "a\r\nSet-Cookie: x=1",
    "</title><script>alert(1)</script>",
    "\u202egpj.exe",
]


def request(label: str) -> JobRequest:
    """A request for an image of a label, with metadata that no file may have."""
    return JobRequest(
        id="0" * 24,
        model="toy",
        seed=7,
        temperature=1.0,
        controls=({"label": label},),
        geometry=Geometry(size=64, slice_size=16),
        metadata={"note": "<script>metadata</script>"},
    )


@pytest.mark.parametrize("label", HOSTILE)
def test_a_file_name_has_letters_digits_and_hyphens_alone(label: str) -> None:
    assert re.fullmatch("[A-Za-z0-9-]+-7", file_name(request(label), 0))


@pytest.mark.parametrize("label", HOSTILE)
def test_a_label_is_text_in_the_svg_and_metadata_is_not_in_it(label: str) -> None:
    document = svg(FORM, title=title(request(label), 0))
    root = ET.fromstring(document)  # noqa: S314 - our own document
    assert {each.tag.rpartition("}")[2] for each in root.iter()} <= {
        *("svg", "title", "path", "defs", "linearGradient", "stop", "g", "rect")
    }
    assert root.findtext("{http://www.w3.org/2000/svg}title") == label.replace("\r\n", "\n")
    assert "metadata" not in document
