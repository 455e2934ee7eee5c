"""A credit schedule as it is written: docs/credit-schedules.md explains the format."""

from msgspec import Struct, field

from meterboard.schedule.classify import RequestRule
from meterboard.schedule.plan import PlanRule
from meterboard.schedule.price import PriceRule


class ScheduleFile(Struct, frozen=True, forbid_unknown_fields=True):
    """A schedule as written in TOML."""

    name: str
    version: str
    id: str
    request: list[RequestRule]
    price: list[PriceRule]
    module: str = "[^/]+"
    verbs: dict[str, str] = field(default_factory=dict)
    action_suffix: dict[str, str] = field(default_factory=dict)
    ignore: list[str] = field(default_factory=list)
    plan: list[PlanRule] = field(default_factory=list)
