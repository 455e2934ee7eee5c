"""Templates, documentation, messages and help use the terms of docs/glossary.md, and none of the words that it rejects."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import click
import pytest

from meterboard.cli import main

ROOT = Path(__file__).parent.parent
SOURCE = ROOT / "src" / "meterboard"
GLOSSARY = ROOT / "docs" / "glossary.md"
NOT_COVERED: tuple[str, ...] = ()
"""Folders of the source whose texts still have such words. A clean one fails the test until it is taken off the list."""

VERBS = """
Accepts Adds Allows Answers Appends Builds Calls Checks Classifies Closes Compares Compiles Completes Counts
Creates Deletes Delivers Describes Does Drops Ends Excludes Executes Forwards Gives Ignores Imports Interrupts
Lets Loads Logs Maintains Makes Merges Moves Opens Parses Performs Prepares Prices Queues Raises Reads Receives
Recomputes Records Recovers Redirects Reduces Refreshes Registers Releases Removes Replaces Responds Restores
Returns Revokes Runs Sends Sets Shortens Shows Starts Stores Subtracts Updates Uses Waits Writes Yields
"""
"""The first words that docstrings of functions may have. A new one has to be a verb in the third person."""
OTHER_FIRST_WORDS: tuple[str, ...] = ("cli.py", "client", "commands")
"""Parts of the source with docstrings of functions that begin with other words. A clean one fails the test, too."""

POLITE = 'aria-live="polite"'


class Text(NamedTuple):
    """A text in a file, from a line on."""

    line: int
    content: str


def rejected_words() -> list[str]:
    """The words of the glossary's third column."""
    rows = [
        line.strip().strip("|").split("|") for line in GLOSSARY.read_text().splitlines() if line[:1] == "|"
    ]
    return [word for row in rows for word in re.findall(r"`([^`]+)`", row[2])]


WORDS = "|".join(r"\s+".join(map(re.escape, words.split())) for words in rejected_words())
REJECTED = re.compile(rf"\b({WORDS})\b", re.IGNORECASE)


def strings(file: Path) -> Iterator[Text]:
    """The docstrings, messages and other sentences of a Python file."""
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and " " in node.value:
            yield Text(node.lineno, node.value)


def texts(file: Path) -> Iterator[Text]:
    """The sentences of a Python file, or all of another file but the value `polite` of an HTML attribute."""
    yield from strings(file) if file.suffix == ".py" else [Text(1, file.read_text().replace(POLITE, ""))]


def found_in(files: list[Path]) -> list[str]:
    """Each rejected word as `file:line: word`."""
    return [
        f"{file.relative_to(ROOT)}:{text.line + text.content.count(chr(10), 0, found.start())}: {found[0]}"
        for file in files
        for text in texts(file)
        for found in REJECTED.finditer(text.content)
    ]


def parts() -> dict[str, list[Path]]:
    """The Python files and templates by the folder, or the file beside the folders, that they are in."""
    made: dict[str, list[Path]] = {}
    for file in [*sorted(SOURCE.rglob("*.py")), *sorted(SOURCE.rglob("*.html"))]:
        made.setdefault(file.relative_to(SOURCE).parts[0], []).append(file)
    return made


PARTS = parts()


def test_the_glossary_rejects_words() -> None:
    assert len(rejected_words()) > 50
    assert REJECTED.search("It is\n  told APART.")


@pytest.mark.parametrize("part", sorted(set(PARTS) - set(NOT_COVERED)))
def test_source_uses_the_terms_of_the_glossary(part: str) -> None:
    assert found_in(PARTS[part]) == []


@pytest.mark.parametrize("part", NOT_COVERED)
def test_a_clean_folder_is_not_on_the_list(part: str) -> None:
    assert found_in(PARTS[part])


def without_verb(files: list[Path]) -> list[str]:
    """
    Each docstring of a function that doesn't begin with one of VERBS, as `file:line: word`.

    That of `__init__` is not checked: it describes the arguments.
    """
    found = []
    for file in files:
        for node in ast.walk(ast.parse(file.read_text())) if file.suffix == ".py" else ():
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name != "__init__":
                word, *_ = (ast.get_docstring(node) or "Returns").split()
                if word.strip(",") not in VERBS.split():
                    found.append(f"{file.relative_to(ROOT)}:{node.lineno}: {word}")
    return found


@pytest.mark.parametrize("part", sorted(set(PARTS) - set(OTHER_FIRST_WORDS)))
def test_docstrings_of_functions_begin_with_a_verb(part: str) -> None:
    assert without_verb(PARTS[part]) == []


@pytest.mark.parametrize("part", OTHER_FIRST_WORDS)
def test_a_part_whose_docstrings_begin_with_verbs_is_not_on_the_list(part: str) -> None:
    assert without_verb(PARTS[part])


@pytest.mark.parametrize(
    "file",
    [*sorted((ROOT / "docs").glob("*.md")), ROOT / "README.md", ROOT / "CHANGELOG.md"],
    ids=lambda file: file.name,
)
def test_documentation_uses_the_terms_of_the_glossary(file: Path) -> None:
    assert file == GLOSSARY or found_in([file]) == []


def commands(group: click.Group, name: str = "meterboard") -> Iterator[tuple[str, click.Command]]:
    context = click.Context(group)
    yield name, group
    for each in group.list_commands(context):
        command = group.get_command(context, each)
        assert command is not None
        if isinstance(command, click.Group):
            yield from commands(command, f"{name} {each}")
        else:
            yield f"{name} {each}", command


@pytest.mark.parametrize(("name", "command"), list(commands(main)), ids=lambda value: str(value))
def test_help_uses_the_terms_of_the_glossary(name: str, command: click.Command) -> None:
    shown = command.get_help(click.Context(command, info_name=name))

    assert [found[0] for found in REJECTED.finditer(shown)] == []


def test_the_architecture_leads_to_the_glossary() -> None:
    assert "(glossary.md)" in (ROOT / "docs" / "architecture.md").read_text()
