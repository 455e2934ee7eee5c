"""The organisation: the tenant whose credits are spent. Every read is scoped to exactly one."""

from zoneinfo import ZoneInfo

from msgspec import Struct


class Organization(Struct, frozen=True):
    """`zone` is the time zone whose days its statistics use; `schedule` names the price list of its calls."""

    id: int
    name: str
    zone: ZoneInfo
    schedule: str
