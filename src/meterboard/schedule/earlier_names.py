"""Keys that stored schedules and reasons have if an earlier version wrote them, with their names of today."""

from collections.abc import Mapping
from typing import Any

from meterboard.schedule.path_patterns import PLACEHOLDER

FILE = {"done": "action_suffix", "silent": "ignore"}
PRICE = {"most": "max", "disputed": "note"}
PLAN = {"least": "min", "most": "max", "also": "aliases"}


def with_current_names(file: Mapping[str, Any]) -> dict[str, Any]:
    """Returns a stored schedule, as TOML has it, by the names of today."""
    current = _renamed(file, FILE)
    current["request"] = [_request(row) for row in file.get("request", [])]
    current["price"] = [price_with_current_names(row) for row in file.get("price", [])]
    current["plan"] = [_renamed(row, PLAN) for row in file.get("plan", [])]
    return current


def price_with_current_names(row: Mapping[str, Any]) -> dict[str, Any]:
    """Returns a stored row of a price list by the names of today."""
    return _renamed(row, PRICE)


def _request(row: Mapping[str, Any]) -> dict[str, Any]:
    if any(found[1] == "done" for found in PLACEHOLDER.finditer(row["path"])):
        return dict(row)  # its own part of the path, not the suffix
    templates = {key: row[key] for key in ("version", "module", "method") if key in row}
    return {**row, **{key: text.replace("{done}", "{action_suffix}") for key, text in templates.items()}}


def _renamed(table: Mapping[str, Any], names: Mapping[str, str]) -> dict[str, Any]:
    return {names.get(key, key): value for key, value in table.items()}
