"""Styles say nothing that no page needs, and name their breakpoints."""

import ast
import re
from pathlib import Path

import pytest

from meterboard.web.render import templates

WEB = Path(templates().get_template("base.html").filename or "").parent.parent
STYLES = sorted((WEB / "assets" / "styles").glob("*.css"))
SCRIPTS = sorted((WEB / "assets").rglob("*.js"))
BREAKPOINTS = {"720px", "1080px"}
"""As described in tokens.css."""
COLOURS = {f"c{number}" for number in range(1, 9)}
"""Classes that the templates put together of a letter and the number of a colour."""
HTMX = {"htmx-request"}


def rules(file: Path) -> str:
    return re.sub(r"/\*.*?\*/", "", file.read_text(encoding="utf-8"), flags=re.DOTALL)


def selectors(file: Path) -> str:
    """The text in front of each opening brace, without what is between quotes."""
    return " ".join(re.findall(r"([^{};]+)\{", re.sub(r'"[^"]*"', "", rules(file))))


def given_classes() -> set[str]:
    """The words of class attributes in templates, and the texts of scripts and page modules that may be one."""
    names: set[str] = set()
    for file in (WEB / "templates").glob("*.html"):
        text = file.read_text(encoding="utf-8")
        attributes = re.findall(r'class="((?:\{\{.*?\}\}|\{%.*?%\}|[^"])*)"', text)
        attributes += re.findall(r"\{% set classes = (.+?) %\}", text)
        names |= {name for attribute in attributes for name in re.findall(r"[\w-]+", attribute)}
    for file in SCRIPTS:
        names |= set(re.findall(r'"([\w-]+)"', file.read_text(encoding="utf-8")))
    for file in WEB.rglob("*.py"):
        constants = (
            node.value
            for node in ast.walk(ast.parse(file.read_text(encoding="utf-8")))
            if isinstance(node, ast.Constant)
        )
        names |= {value for value in constants if isinstance(value, str)}
    return names | COLOURS | HTMX


@pytest.mark.parametrize("file", STYLES, ids=lambda file: file.name)
def test_every_class_and_id_of_a_style_is_on_a_page(file: Path) -> None:
    pages = "".join(page.read_text(encoding="utf-8") for page in (WEB / "templates").glob("*.html"))
    classes = set(re.findall(r"\.([a-zA-Z][\w-]*)", selectors(file)))
    ids = set(re.findall(r"#([a-zA-Z][\w-]*)", selectors(file)))

    unknown = classes - given_classes()
    assert not unknown
    assert not {name for name in ids if f'id="{name}"' not in pages}


def test_every_custom_property_is_used() -> None:
    texts = [rules(file) for file in STYLES] + [file.read_text(encoding="utf-8") for file in SCRIPTS]
    defined = {name for file in STYLES for name in re.findall(r"(--[\w-]+):", rules(file))}
    used = {name for text in texts for name in re.findall(r"""[("'](--[\w-]+)""", text)}

    assert defined - used <= {f"--{colour}" for colour in COLOURS}
    assert not used - defined


@pytest.mark.parametrize("file", STYLES, ids=lambda file: file.name)
def test_each_breakpoint_is_one_of_two_and_has_one_block_a_file(file: Path) -> None:
    widths = re.findall(r"@media \((?:max|min)-width: (\w+)\)", rules(file))

    assert set(widths) <= BREAKPOINTS
    assert len(widths) == len(set(widths))


def test_every_style_is_imported() -> None:
    entry = (WEB / "assets" / "meterboard.css").read_text(encoding="utf-8")

    assert {Path(name).name for name in re.findall(r'"(\./styles/.+?)"', entry)} == {
        file.name for file in STYLES
    }
