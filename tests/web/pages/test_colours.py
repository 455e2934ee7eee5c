"""Colours of names: the most used never share one, and a name keeps its own."""

from meterboard.domain.organization import Organization
from meterboard.services import Services
from meterboard.web.pages.colours import COLOURS, colours_of, hue
from tests.web.usage import record


def test_the_eight_most_used_names_have_different_colours(services: Services, acme: Organization) -> None:
    for number in range(12):
        record(services, acme, *[{"module": f"module {number}"}] * (20 - number))

    with services.statistics.read(acme) as reading:
        colours = colours_of(reading, "module")

    assert {colours["", f"module {number}"] for number in range(8)} == set(range(1, COLOURS + 1))
    for number in range(8, 12):
        name = ("", f"module {number}")
        assert colours[name] == hue(name)


def test_a_name_has_its_own_colour_unless_another_has_it(services: Services, acme: Organization) -> None:
    record(services, acme, {"application": "Sales desk"}, {"function": "Nightly"})

    with services.statistics.read(acme) as reading:
        colours = colours_of(reading, "caller")

    first, second = sorted(colours)
    assert colours[first] == hue(first)
    assert colours[second] == hue(second) or hue(second) == colours[first]
    assert set(colours) == {("application", "Sales desk"), ("function", "Nightly")}


def test_a_colour_is_one_of_eight_whatever_the_name() -> None:
    assert {hue(("", f"{number}")) for number in range(1_000)} == set(range(1, COLOURS + 1))
    assert hue(("application", "x")) == hue(("application", "x"))
