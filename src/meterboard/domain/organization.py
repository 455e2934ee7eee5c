"""The organisation: the tenant whose credits are spent. Every read is scoped to exactly one."""

from zoneinfo import ZoneInfo

from msgspec import Struct


class Organization(Struct, frozen=True):
    """
    `zone` is the time zone whose days its statistics use; `schedule` names the price list of its calls.

    `charges_tasks` False: integration tasks are counted in statistics but not against the allowance.
    """

    id: int
    name: str
    zone: ZoneInfo
    schedule: str
    charges_tasks: bool = True
