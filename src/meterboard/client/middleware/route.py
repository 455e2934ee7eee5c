"""
Which version, module and method a call is, from the template of its route: `/crm/v8/Leads/{id}/actions/convert`.

Named as the credit schedule `one-per-call` names the same call by its path, so that a provider may switch between both.
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
SILENT = ("api", "rest")
"""Segments that say nothing about what is called."""
_version = re.compile(r"v\d+(?:\.\d+)?")
_open_ended = re.compile(r"{(\w+):path}")
_parameter = re.compile(r"[{<(\[\\]")
"""What makes a segment a parameter in the templates of Starlette, Litestar, Flask and Django, and in Django's regexes."""


class Names(NamedTuple):
    """None where the template does not say."""

    version: str | None
    module: str | None
    method: str


Naming = Callable[[str, str], Names | None]
"""From the HTTP method and the template to the names; None leaves it to Meterboard's credit schedule."""


def names(verb: str, template: str) -> Names:
    """
    The version is the first segment such as `v8`; the module the first fixed segment behind it, or without a version the
    first one that is not `api` or `rest`; the method the fixed segments behind that and the verb: `actions.convert.create`.
    """
    segments = template.removeprefix("^").removesuffix("$").strip("/").split("/")
    fixed = [segment for segment in segments if segment and not _parameter.search(segment)]
    version = next((segment for segment in fixed if _version.fullmatch(segment)), None)
    if version:
        rest = fixed[fixed.index(version) + 1 :]
    else:
        rest = fixed[next((at for at, segment in enumerate(fixed) if segment not in SILENT), len(fixed)) :]
    verb = VERBS.get(verb, verb.lower())
    return Names(version, rest[0] if rest else None, ".".join([*rest[1:], verb]))


def whole_template(template: str, path: str, parameters: Mapping[str, object]) -> str:
    """
    The template of a whole path, when only that of its end is known: a route does not know what it is mounted under.

    What is before it is taken from the path itself, with the values of the parameters in it left out.
    """
    ending, depth, inside, open_ended = _shape(template)
    if path.count("/") == depth and not open_ended:
        return ending  # it is mounted under nothing, as nearly always
    if open_ended:
        depth += sum(str(parameters.get(name, "")).strip("/").count("/") for name in open_ended)
    before = path.rstrip("/").rsplit("/", depth)[0] if depth else path.rstrip("/")
    if before and len(parameters) > inside:
        values = {str(value) for name, value in parameters.items() if f"{{{name}" not in ending}
        before = "/".join("{}" if segment in values else segment for segment in before.split("/"))
    return before + ending


def is_whole(template: str, depth: int) -> bool:
    """Is a template with nothing before it the template of every path with so many slashes that its route answers?"""
    ending, slashes, _, open_ended = _shape(template)
    return template == ending and slashes == depth and not open_ended


@lru_cache(maxsize=4_096)
def _shape(template: str) -> tuple[str, int, int, tuple[str, ...]]:
    """Without a slash at the end; its segments, parameters, and those of them that may hold slashes themselves."""
    ending = template.rstrip("/")
    return ending, ending.count("/"), ending.count("{"), tuple(_open_ended.findall(ending))
