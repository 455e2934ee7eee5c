"""What the documentation must mention, since it is there."""

from pathlib import Path

import click
import pytest

from meterboard.cli import main
from meterboard.commands.imports import import_calls
from meterboard.importers.formats.named import NAMES
from meterboard.settings import Settings

ROOT = Path(__file__).parent.parent
DOCS = {file.name: file.read_text() for file in (ROOT / "docs").glob("*.md")}


@pytest.mark.parametrize("name", Settings.__struct_fields__)
def test_every_setting_is_explained(name: str) -> None:
    assert f"`{name}`" in DOCS["settings.md"]
    assert f"METERBOARD_{name.upper()}" in DOCS["settings.md"]


def commands(group: click.Group, prefix: str = "meterboard") -> list[str]:
    found: list[str] = []
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        path = f"{prefix} {name}"
        found += commands(command, path) if isinstance(command, click.Group) else [path]
    return found


@pytest.mark.parametrize("command", commands(main))
def test_every_command_is_listed(command: str) -> None:
    assert command in DOCS["command-line.md"]


def test_every_format_and_option_of_an_import_is_explained() -> None:
    for name in NAMES:
        assert f"`{name}`" in DOCS["importing.md"]
    for option in import_calls.params:
        if isinstance(option, click.Option) and option.name != "data":
            assert option.opts[0] in DOCS["importing.md"]
            assert option.opts[0] in DOCS["command-line.md"]


def test_every_folder_of_the_house_is_on_its_map() -> None:
    for folder in (ROOT / "src" / "meterboard").iterdir():
        if folder.is_dir() and folder.name != "__pycache__":
            assert f"{folder.name}/" in DOCS["architecture.md"]


def test_the_files_that_contributors_change_exist() -> None:
    import re

    text = (ROOT / "CONTRIBUTING.md").read_text()
    named = set(re.findall(r"`([a-z_]+(?:/[\w.]+)*(?:/|\.\w+))`", text)) - {
        "panels.py",
        "usage/NAME/",
        "accounts/NAME.py",
    }
    assert len(named) > 20
    missing = [
        name
        for name in named
        if not (ROOT / name).exists() and not (ROOT / "src" / "meterboard" / name).exists()
    ]
    assert missing == []


def test_every_link_of_the_readme_leads_somewhere() -> None:
    import re

    readme = (ROOT / "README.md").read_text()
    for target in re.findall(r"\]\(([^)#:]+)\)", readme):
        assert (ROOT / target).exists(), target
