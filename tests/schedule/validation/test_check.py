"""Every mistake in a schedule is found when it is checked, and named by its line."""

import pytest

from meterboard.errors import ScheduleError
from meterboard.schedule.credit_schedule import read_schedule
from meterboard.schedule.plan import allowances


def written(**parts: str) -> str:
    """A schedule, parts of which are written otherwise or not at all: its keys, and `more` behind them."""
    keys = {"name": '"maps"', "version": "'v\\d+'", "id": "'\\d+'"}
    lists = {
        "request": '[\n  { path = "/{version}/{module}", method = "{verb}" },\n]',
        "price": "[{ credits = 1 }]",
    }
    more = parts.pop("more", "")
    lines = [f"{key} = {value}" for key, value in (keys | lists | parts).items() if value]
    return "\n".join([*lines, more])


REQUEST = '[\n  {{ path = "/a", method = "a" }}, # {{\n  {{ path = "/b", method = "b" }}, {0} # here\n]'


def request(row: str) -> str:
    return written(request=REQUEST.format(row))


def price(row: str) -> str:
    return written(
        price=f"[\n  {{ credits = 1, method = 'x' }},\n  {{ credits = 2 }}, {{ {row} }}, # here\n]"
    )


def plan(row: str) -> str:
    return written(
        plan=f"[\n  {{ name = 'x' }}, {{ name = 'x', until = 2020-01-01 }},\n  {{ {row} }}, # here\n]"
    )


@pytest.mark.parametrize(
    ("text", "said"),
    [
        # patterns
        (written(version=r"'v(\d+' # here"), "version is not a regular expression"),
        (written(module="'[' # here"), "module is not a regular expression"),
        (written(id="'(' # here"), "id is not a regular expression"),
        (written(id="'a)(b' # here"), "id is not a regular expression"),
        (written(module="'a(?i)' # here"), "module is not a regular expression"),
        (request('{ path = "/{m:[}", method = "x" }'), "{m:[}"),
        (request('{ path = "/{m:a/b}", method = "x" }'), "the braces in '{m:a'"),
        (request('{ path = "/{m", method = "x" }'), "the braces in '{m'"),
        (request('{ path = "/{m}/{m}", method = "x" }'), "can't be understood"),
        # templates
        (
            request('{ path = "/{version}/{area}/{key}", method = "{vreb}" }'),
            "there is no {vreb} in this row",
        ),
        (
            request('{ path = "/{version}/{area}/{key}", method = "{vreb}" }'),
            "use {version}, {area}, {verb}, {action_suffix}",
        ),
        (request('{ path = "/{key}", method = "{key}" }'), "there is no {key}"),
        (request('{ path = "/a", method = "{module}" }'), "there is no {module}"),
        (request('{ path = "/a", method = "a", module = "{rest}" }'), "module is '{rest}'"),
        (request('{ path = "/a", method = "a", version = "{v}" }'), "version is '{v}'"),
        (request('{ path = "/a", method = "{verb" }'), "braces stand around a name alone"),
        # HTTP methods and records
        (request('{ path = "/a", method = "a", http = "post" }'), "http is 'post': use one of GET, HEAD"),
        (request('{ path = "/a", method = "a", http = ["GET", "FETCH"] }'), "http is 'FETCH'"),
        (request('{ path = "/a", method = "a", records = -1 }'), "records is -1"),
        (request('{ path = "/a", method = "a", records = "1" }'), "Expected `int | null`, got `str`"),
        (request('{ path = "/a" }'), "missing required field `method`"),
        (request('{ path = "/a", method = "a", modul = "x" }'), "unknown field `modul`"),
        # prices
        (price("credits = 5, max = 3"), "max is 3, but the price reaches 5 by its credits"),
        (price("credits = 5, max = 3, estimated = true"), "max is 3, but the price reaches 5"),
        (price("steps = [[200, 1], [1000, 4]], max = 3"), "max is 3, but the price reaches 4 by its steps"),
        (price("credits = 1, max = 3, failed = 4"), "max is 3, but the price reaches 4 by its failed"),
        (price("steps = [[200, 1]], per_records = 10"), "either steps or per_records"),
        (price("steps = [[0, 1]]"), "the first at least 1"),
        (price("credits = 1, status = 42"), "status is 42: use an HTTP status from 100 to 599"),
        (price("credits = 1, status = [200, 600]"), "status is 600"),
        (price("credits = 1, since = 2027-01-02, until = 2027-01-01"), "before it begins"),
        (price("credits = 1, until = 20270101"), "Expected `date | null`, got `int`"),
        # plans
        (plan("name = 'b', base = -1"), "base is -1"),
        (plan("name = 'b', per_license = -1"), "per_license is -1"),
        (plan("name = 'b', min = -1"), "min is -1"),
        (plan("name = 'b', max = -1"), "max is -1"),
        (plan("name = 'b', min = 5, max = 4"), "min is 5, more than max, which is 4"),
        (plan("name = 'b', aliases = ['x']"), "Two plans are called 'x' and both are in force now"),
        (plan("name = 'x', until = 9999-12-31"), "Two plans are called 'x' and both are in force"),
        (plan("name = 'x', until = 2020-01-01"), "both are in force until 2020-01-01"),
        # tables
        (written(more='[verbs]\nGET = "get"\nPOST = 1 # here'), "Expected `str`, got `int`"),
        (
            written(more='[[plan]]\nname = "a"\n[[plan]] # a row\nname = "b"\n\nbsae = 1 # here'),
            "unknown field `bsae`",
        ),
        (
            written(
                price="",
                more="[[price]]\nmethod = 'x'\ncredits = 1\n\n[[price]]\ncredits = 5\nmax = 3 # here",
            ),
            "max is 3",
        ),
        (written(price="", more="[[price]]\nmethod = 'x'\nsteps = 1 # here"), "Expected `array | null`"),
        (written(name='"a/b" # here'), "The name is 'a/b'"),
        (written(name='"" # here'), "The name is ''"),
        (
            written(more="[ action_suffix ] # a table\nGET = 'x'\n[nonsense] # here"),
            "unknown field `nonsense`",
        ),
    ],
)
def test_a_mistake_is_named_by_its_line(text: str, said: str) -> None:
    line = next(number for number, line in enumerate(text.splitlines(), 1) if line.endswith("# here"))

    with pytest.raises(ScheduleError) as refused:
        read_schedule(text)
    assert f"line {line}: " in str(refused.value)
    assert said in str(refused.value)


def test_braces_within_a_placeholder_s_pattern_count_what_is_before_them() -> None:
    schedule = read_schedule(
        written(
            request="""[{ path = '/{version}/{area:[a-z]{2,3}\\d{3}}/{key}', method = "{area}" }]""".replace(
                "\\\\", "\\"
            )
        )
    )
    assert schedule.classify("GET", "/v1/abc123/x").method == "abc123"
    assert schedule.classify("GET", "/v1/abc12/x").method == "get"


@pytest.mark.parametrize(
    "text",
    [
        price("credits = 1, until = 9999-12-31"),
        price("credits = 3, max = 3, per_records = 1"),
        price("credits = 1, status = [100, 599]"),
        plan("name = 'y', until = 9999-12-31"),
        plan("name = 'x', until = 2021-01-01"),
        request(
            '{ path = "/{area:a|b}/{rest}", method = "{area}.{rest}.{verb}.{action_suffix}", http = ["PATCH", "TRACE"] }'
        ),
        written(
            request="[{ path = '/a', method = '{verb}', http = 'PURGE' }]", more="verbs = { purge = 'purge' }"
        ),
    ],
)
def test_what_is_right_is_no_mistake(text: str) -> None:
    read_schedule(text.replace("# here", ""))


def test_a_plan_that_never_ends_is_in_force_to_the_last_day() -> None:
    found = read_schedule(plan("name = 'y', base = 7, until = 9999-12-31")).plans

    assert [allowance.credits for allowance in allowances(found, "y", licenses=0)] == [7]
