"""The line of every table, row and key of a TOML text, however it is written."""

import json
import tomllib
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from meterboard.schedule.validation.toml_lines import Path, line_of, lines_of

TEXT = r'''
name = "a # is no comment, { [ neither" # but this is: version = 'x'
  version   =   'v\d+'
notes = """
price = [ { credits = 9 } ]
\""" version = 1
"""
'a key' = 1.5
verbs = { GET = "get", "P{T" = '}' }
request = [ # rows
  { path = "/[a]", method = "x" }, { path = "/b",
    # { path = "/none" }
    method = "y" },
  { path = "/c", method = "z" } ]
price = [{ credits = 1, steps = [[200, 1],
  [300, 2]] }, { until = 2026-01-01 10:00:00, status = 429 }]
a.b.c = 1

[ action_suffix ]  # a table
GET = "get"
[[plan]]
name = "one"
[[ plan ]]   # a row
name = "two"
  max = 5
[plan.more]
deep = 1
'''


def test_places_are_found() -> None:
    lines = lines_of(TEXT)
    wanted: dict[Path, int] = {
        ("name",): 2,
        ("version",): 3,
        ("notes",): 4,
        ("a key",): 8,
        ("verbs", "GET"): 9,
        ("verbs", "P{T"): 9,
        ("request",): 10,
        ("request", 0, "method"): 11,
        ("request", 1): 11,
        ("request", 1, "method"): 13,
        ("request", 2): 14,
        ("price", 0, "steps", 0): 15,
        ("price", 0, "steps", 1): 16,
        ("price", 1): 16,
        ("price", 1, "status"): 16,
        ("a", "b", "c"): 17,
        ("action_suffix",): 19,
        ("action_suffix", "GET"): 20,
        ("plan", 0): 21,
        ("plan", 0, "name"): 22,
        ("plan", 1): 23,
        ("plan", 1, "max"): 25,
        ("plan", 1, "more"): 26,
        ("plan", 1, "more", "deep"): 27,
    }
    assert {path: lines[path] for path in wanted} == wanted


def test_what_is_not_written_is_looked_for_where_it_would_stand() -> None:
    lines = lines_of(TEXT)

    assert line_of(lines, ("plan", 0, "base")) == 21
    assert line_of(lines, ("nothing",)) == 1
    assert line_of(lines, ()) == 1


words = st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs"]), max_size=6)
breaks = st.sampled_from([" ", "\t", " # [x] { y = 1\n"])
leaves = st.integers(0, 9) | words
trees = st.recursive(
    leaves,
    lambda inside: st.lists(inside, max_size=3) | st.dictionaries(words, inside, max_size=3),
    max_leaves=8,
)


class Writer:
    """Writes a tree as TOML, breaking lines where that is allowed, and notes on which line each thing went."""

    def __init__(self, data: st.DataObject) -> None:
        self.text = ""
        self.lines: dict[Path, int] = {}
        self._data = data

    def note(self, path: Path) -> None:
        self.lines[path] = self.text.count("\n") + 1

    def pair(self, path: Path, value: Any) -> None:
        self.note(path)
        self.text += json.dumps(path[-1], ensure_ascii=False) + " ="
        self.value(path, value)

    def value(self, path: Path, value: Any) -> None:
        if isinstance(value, dict):
            self.text += "{"
            for place, (key, inside) in enumerate(value.items()):
                self.text += ", " if place else " "
                self.pair((*path, key), inside)
            self.text += "}"
        elif isinstance(value, list):
            self.text += "["
            for number, inside in enumerate(value):
                self.text += self._data.draw(breaks)
                self.note((*path, number))
                self.value((*path, number), inside)
                self.text += self._data.draw(breaks) + ","
            self.text += "]"
        elif isinstance(value, str) and "'" not in value and self._data.draw(st.booleans()):
            self.text += self._data.draw(st.sampled_from([f"'{value}'", f"'''\n{value}'''"]))
        else:
            self.text += json.dumps(value, ensure_ascii=False)


@given(st.dictionaries(words, trees, max_size=4), st.data())
def test_every_place_is_found_whatever_stands_around_it(tree: dict[str, Any], data: st.DataObject) -> None:
    writer = Writer(data)
    for key, value in tree.items():
        writer.pair((key,), value)
        writer.text += data.draw(st.sampled_from(["\n", "\r\n", "\n\n# x = [\n"]))

    assert tomllib.loads(writer.text) == tree
    found = lines_of(writer.text)
    assert {path: line for path, line in found.items() if path in writer.lines} == writer.lines
