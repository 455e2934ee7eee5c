"""The templates, and the URLs of the files that pages load."""

from functools import lru_cache
from importlib.resources import files
from pathlib import Path

from jinja2 import Environment, PackageLoader, StrictUndefined
from litestar import MediaType, Response
from msgspec import json

from meterboard import __version__
from meterboard.domain.event import UNKNOWN
from meterboard.domain.query import name_of
from meterboard.web import formatting
from meterboard.web.translation import _, ngettext

STATIC = Path(str(files("meterboard.web") / "static"))
STAMP = "built-from.txt"


def page(template: str, **values: object) -> Response[str]:
    """Returns the response with a rendered template."""
    return Response(templates().get_template(template).render(values), media_type=MediaType.HTML)


@lru_cache(maxsize=1)
def templates() -> Environment:
    """Returns the template environment, which escapes everything that is not marked safe."""
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
        "number": formatting.number,
        "percent": formatting.percent,
        "plural": formatting.plural,
        "time_of": formatting.time_of,
        "date_of": formatting.date_of,
        "data": lambda value: json.encode(value).decode().replace("<", "\\u003c"),
    }
    environment.globals |= {
        "version": __version__,
        "name_of": name_of,
        "static": _static_url,
        "unknown": UNKNOWN,
        "in_sentence": formatting.in_sentence,
    }
    return environment


def _static_url(name: str) -> str:
    """Returns the URL of a static file. It changes with the files, so that browsers may cache them."""
    return f"/static/{name}?{_build_stamp()}"


@lru_cache(maxsize=1)
def _build_stamp() -> str:
    stamp = STATIC / STAMP
    return stamp.read_text(encoding="utf-8")[:12] if stamp.exists() else __version__
