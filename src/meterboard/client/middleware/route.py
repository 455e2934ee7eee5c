"""
Finds the version, module and method of a call in the template of its route: `/crm/v8/Leads/{id}/actions/convert`.

The names are those that the credit schedule `one-per-call` finds in the call's path.
"""

import re
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import NamedTuple

VERBS = {
    "GET": "get",
    "HEAD": "get",
    "POST": "create",
    "PUT": "update",
    "PATCH": "update",
    "DELETE": "delete",
}
IGNORED = ("api", "rest")
"""Segments that are not part of a name."""
_version = re.compile(r"v\d+(?:\.\d+)?")
_open_ended = re.compile(r"{(\w+):path}")
_parameter = re.compile(r"[{<(\[\\]")
"""Marks a segment as a parameter in the templates of Starlette, Litestar, Flask and Django, and in Django's regexes."""


class Names(NamedTuple):
    """None for what the template does not have."""

    version: str | None
    module: str | None
    method: str


Naming = Callable[[str, str], Names | None]
"""Returns the names for an HTTP method and a template; None lets Meterboard's credit schedule find them."""


def names(verb: str, template: str) -> Names:
    """
    Returns the names of a call.

    The version is the first segment such as `v8`. The module is the first fixed segment after it, or without a version the
    first one other than `api` and `rest`. The method is the other fixed segments and the verb: `actions.convert.create`.
    """
    segments = template.removeprefix("^").removesuffix("$").strip("/").split("/")
    fixed = [segment for segment in segments if segment and not _parameter.search(segment)]
    version = next((segment for segment in fixed if _version.fullmatch(segment)), None)
    if version:
        rest = fixed[fixed.index(version) + 1 :]
    else:
        named = (index for index, segment in enumerate(fixed) if segment not in IGNORED)
        rest = fixed[next(named, len(fixed)) :]
    verb = VERBS.get(verb, verb.lower())
    return Names(version, rest[0] if rest else None, ".".join([*rest[1:], verb]))


def full_template(template: str, path: str, parameters: Mapping[str, object]) -> str:
    """
    Returns the template of a full path from that of its end: a route does not know where it is mounted.

    The beginning is taken from the path itself, without the values of its parameters.
    """
    ending, depth, inside, open_ended = _shape(template)
    if path.count("/") == depth and not open_ended:
        return ending  # it is not mounted, as nearly always
    if open_ended:
        depth += sum(str(parameters.get(name, "")).strip("/").count("/") for name in open_ended)
    prefix = path.rstrip("/").rsplit("/", depth)[0] if depth else path.rstrip("/")
    if prefix and len(parameters) > inside:
        values = {str(value) for name, value in parameters.items() if f"{{{name}" not in ending}
        prefix = "/".join("{}" if segment in values else segment for segment in prefix.split("/"))
    return prefix + ending


def is_full_template(template: str, depth: int) -> bool:
    """Returns whether a template is the full one of every path of its route with `depth` slashes."""
    ending, slashes, _, open_ended = _shape(template)
    return template == ending and slashes == depth and not open_ended


@lru_cache(maxsize=4_096)
def _shape(template: str) -> tuple[str, int, int, tuple[str, ...]]:
    """Returns the template without a final slash, its slashes and parameters, and the parameters that may have slashes."""
    ending = template.rstrip("/")
    return ending, ending.count("/"), ending.count("{"), tuple(_open_ended.findall(ending))
