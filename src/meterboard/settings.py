"""
Every setting: its unit, its default and why.

A setting comes from `meterboard.toml` in the data folder, or from the environment as METERBOARD_<NAME>, which wins.
If one is wrong, the server doesn't start, and the error names the setting.
"""

import os
import re
import tomllib
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from types import MappingProxyType
from urllib.parse import urlsplit

import msgspec
from msgspec import Struct

from meterboard.domain.dimensions import parse_dimensions, parse_sources
from meterboard.errors import SettingError

MAX_INTERVAL = timedelta(days=1)
FILE = "meterboard.toml"
PREFIX = "METERBOARD_"
USUAL_PORTS = {"http": 80, "https": 443}
METRICS = ("off", "local", "key")
_UNITS = {"s": 1, "m": 60, "h": 3600}


class Settings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The values in force."""

    host: str = "127.0.0.1"
    """Address to listen on. Loopback, since until full sign-in exists no other machine should reach it."""
    port: int = 8000
    refresh_interval: timedelta = timedelta(minutes=15)
    """How often statistics are brought up to date: a number with s, m or h. 0s: on every read."""
    retention_days: int = 30
    """Days that events and statistics are kept. The original's figure."""
    queue_events: int = 200_000
    """Events that may wait for a commit before senders are asked to come back: about a second's work, 200 MB at most."""
    metrics: str = "key"
    """Who may read /metrics: key (a provider-wide one), local (this machine) or off. Never public by default."""
    memory: str = "512MB"
    """What the usage store may hold in memory at most, as DuckDB reads it."""
    dimensions: str = ""
    """Up to six dimensions of the installation's own, each with a label if wished: environment,region:Region."""
    dimension_attributes: str = ""
    """The attributes of OpenTelemetry that own dimensions are taken from: environment=deployment.environment.name."""
    dimension_extensions: str = ""
    """The extensions of CloudEvents that own dimensions are taken from: environment=env."""
    dimension_fields: str = ""
    """The members and variables of logs that own dimensions are taken from when they are imported: environment=env."""
    public_url: str = ""
    """The address that browsers use behind a reverse proxy, such as https://usage.example.com."""


def read_settings(
    data: Path,
    environment: Mapping[str, str] = os.environ,
    *,
    overrides: Mapping[str, object] = MappingProxyType({}),
) -> Settings:
    """
    Returns the settings of a data folder. Variables of the environment win over its file, and `overrides`, from the
    command line, over both.

    Raises: SettingError: a name or value is wrong; the message names it.
    """
    given: dict[str, object] = {}
    file = data / FILE
    try:
        given |= tomllib.loads(file.read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError):
        pass  # the file is optional
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, OSError) as error:
        raise SettingError(f"{file} can't be read: {error}.") from error
    for name in Settings.__struct_fields__:
        value = environment.get(PREFIX + name.upper())
        if value is not None:
            given[name] = value
    given |= overrides
    known = {name: _parsed(name, value) for name, value in given.items()}
    try:
        settings = msgspec.convert(known, Settings, strict=False)
    except msgspec.ValidationError as error:
        raise SettingError(f"A setting is wrong: {error}. See docs/settings.md.") from error
    _check(settings)
    return settings


def _parsed(name: str, value: object) -> object:
    if name == "public_url":
        return _public_url(str(value))
    if name != "refresh_interval":
        return value
    found = re.fullmatch(r"(\d{1,9})([smh])", str(value))
    if found is None:
        raise SettingError(
            f"refresh_interval is {value!r}: use a number with s, m or h, such as 15m; 0s is live."
        )
    return timedelta(seconds=int(found[1]) * _UNITS[found[2]])


def _public_url(value: str) -> str:
    """Returns the address as browsers write an origin: in lower case, without a default port or a final slash."""
    if not value:
        return value
    try:
        parts = urlsplit(value)
        host, port = parts.hostname or "", parts.port
    except ValueError as error:
        raise SettingError(f"public_url is {value!r}: {error}.") from error
    more = parts.path.strip("/") or parts.query or parts.fragment or "@" in parts.netloc
    if parts.scheme not in USUAL_PORTS or not re.fullmatch(r"[a-z0-9._:-]+", host) or more:
        raise SettingError(
            f"public_url is {value!r}: use a scheme and a host without a path, such as https://usage.example.com."
        )
    host = f"[{host}]" if ":" in host else host
    usual = port in (None, USUAL_PORTS[parts.scheme])
    return f"{parts.scheme}://{host}" if usual else f"{parts.scheme}://{host}:{port}"


def _check(settings: Settings) -> None:
    bounds = {"port": (0, 65_535), "retention_days": (1, 36_500), "queue_events": (10_000, 100_000_000)}
    for name, (low, high) in bounds.items():
        value = getattr(settings, name)
        if not low <= value <= high:
            raise SettingError(f"{name} is {value}: use a number from {low:,} to {high:,}.")
    if settings.refresh_interval > MAX_INTERVAL:
        raise SettingError("refresh_interval is longer than a day: use at most 24h.")
    if settings.metrics not in METRICS:
        raise SettingError(f"metrics is {settings.metrics!r}: use one of {', '.join(METRICS)}.")
    if not re.fullmatch(r"\d+(\.\d+)? ?[KMGT]i?B", settings.memory):
        raise SettingError(f"memory is {settings.memory!r}: use a size such as 512MB.")
    dimensions = parse_dimensions(settings.dimensions)
    for name in ("dimension_attributes", "dimension_extensions", "dimension_fields"):
        parse_sources(name, getattr(settings, name), dimensions)
