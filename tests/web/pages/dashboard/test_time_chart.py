"""The parts that the steps of the time chart are made up of."""

from meterboard.domain.dimensions import Dimensions
from meterboard.domain.organization import Organization
from meterboard.services import Services
from meterboard.web.page_state import PageState
from meterboard.web.pages.dashboard.time_chart import TimeChart, time_chart
from tests.web.usage import record


def chart(services: Services, acme: Organization, *given: tuple[str, str]) -> TimeChart:
    record(services, acme, {"module": "Leads"}, {"module": "Deals"}, {"module": "Leads"})
    with services.statistics.read(acme) as reading:
        state = PageState("/", given, Dimensions())
        return time_chart(reading, reading.period("today"), {}, state)


def test_an_unstacked_chart_has_no_parts(services: Services, acme: Organization) -> None:
    unstacked = chart(services, acme, ("stack", "none"))

    assert unstacked.parts == []
    assert sum(step.calls for step in unstacked.steps) == 3


def test_a_stacked_chart_has_a_part_for_each_value(services: Services, acme: Organization) -> None:
    stacked = chart(services, acme, ("stack", "module"))

    assert [(part.name, part.calls) for part in stacked.parts] == [("Leads", 2), ("Deals", 1)]
