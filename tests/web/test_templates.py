"""Templates stay readable: short lines, and no macro that no page uses."""

import re
from pathlib import Path

import pytest

from meterboard.web.render import templates

TEMPLATES = Path(templates().get_template("base.html").filename or "").parent
FILES = sorted(TEMPLATES.glob("*.html"))
LONGEST_LINE = 160
NAMES = ("Meterboard", "API", "SVG", "PNG")
"""Texts that are the same in every language."""


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_a_line_has_at_most_160_characters(file: Path) -> None:
    lines = file.read_text(encoding="utf-8").splitlines()

    assert not [number for number, line in enumerate(lines, 1) if len(line) > LONGEST_LINE]


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_a_template_uses_each_macro_that_it_imports(file: Path) -> None:
    text = file.read_text(encoding="utf-8")
    imports = re.findall(r"\{% from \"\S+\" import (.+?) %\}", text)
    names = [name.strip() for line in imports for name in line.split(",")]

    assert not [name for name in names if len(re.findall(rf"\b{name}\b", text)) < 2]


def test_every_macro_is_used() -> None:
    texts = [file.read_text(encoding="utf-8") for file in FILES]
    macros = {name for text in texts for name in re.findall(r"\{% macro (\w+)", text)}
    uses = "\n".join(re.sub(r"\{% (macro \w+|from .+?%\})", "", text) for text in texts)

    assert macros
    assert not [name for name in macros if not re.search(rf"\b{name}\(", uses)]


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_sentences_and_labels_are_marked_for_translation(file: Path) -> None:
    text = re.sub(r"<(pre|title)\b.*?</\1>", "", file.read_text(encoding="utf-8"), flags=re.DOTALL)
    sentences = re.findall(r"<[a-z](?:[^<>]*)>\s*([A-Z][^<>{}%&]+?)\s*<", text)
    labels = re.findall(r'(?:aria-label|title)="([A-Z][^"{}]+)"', text)

    assert not [found for found in [*sentences, *labels] if found not in NAMES]
