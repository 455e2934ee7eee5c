"""Templates and the files that pages load."""

from functools import lru_cache
from importlib.resources import files
from pathlib import Path

from jinja2 import Environment, PackageLoader, StrictUndefined
from litestar import MediaType, Response
from msgspec import json

from meterboard import __version__
from meterboard.domain.event import UNKNOWN
from meterboard.domain.query import name_of
from meterboard.web import formatting as words
from meterboard.web.translation import _, ngettext

STATIC = Path(str(files("meterboard.web") / "static"))
STAMP = "built-from.txt"


def page(template: str, **values: object) -> Response[str]:
    """A template as a response."""
    return Response(templates().get_template(template).render(values), media_type=MediaType.HTML)


@lru_cache(maxsize=1)
def templates() -> Environment:
    """The templates, with everything escaped that is not marked safe."""
    environment = Environment(
        loader=PackageLoader("meterboard.web"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.add_extension("jinja2.ext.i18n")
    # The extension adds the method when it is loaded.
    environment.install_gettext_callables(_, ngettext, newstyle=True)  # type: ignore[attr-defined]
    environment.filters |= {
        "number": words.number,
        "percent": words.percent,
        "plural": words.plural,
        "time_of": words.time_of,
        "date_of": words.date_of,
        "data": lambda value: json.encode(value).decode().replace("<", "\\u003c"),
    }
    environment.globals |= {
        "version": __version__,
        "name_of": name_of,
        "static": _address_of,
        "unknown": UNKNOWN,
        "in_sentence": words.in_sentence,
    }
    return environment


def _address_of(name: str) -> str:
    """Where a page loads a file from: an address that changes with the files, so that browsers may keep them."""
    return f"/static/{name}?{_made_from()}"


@lru_cache(maxsize=1)
def _made_from() -> str:
    stamp = STATIC / STAMP
    return stamp.read_text(encoding="utf-8")[:12] if stamp.exists() else __version__
