"""The short way to read the usual line of a log, and what DuckDB works out for a column, against the plain ways."""

import io

from hypothesis import given, settings
from hypothesis import strategies as st

from meterboard.domain.event import UsageEvent
from meterboard.importers.formats.named import Format, read_format
from meterboard.importers.reading.combined import CombinedFast
from meterboard.importers.reading.fields import ParseOptions
from meterboard.importers.reading.lines import chunks
from meterboard.importers.reading.reading import Read, Reader
from meterboard.usage.batch import id_halves, identity
from tests.importers.test_access_log import COMBINED, COMMON

COMBINED_FORMAT = read_format("combined", {})
PATTERNS = COMBINED_FORMAT._replace(
    layouts=[layout for layout in COMBINED_FORMAT.layouts if not isinstance(layout, CombinedFast)]
)
HOSTS = ("203.0.113.7", "2001:db8::1", "api.example.com", "api.example.com:443 203.0.113.7", "a:b", "", "x y")
USERS = ("-", "maria", "maria silva", '""', "", "a]b", "-  -")
TIMES = (
    "03/Nov/2026:10:45:00 +0530",
    "31/Feb/2026:10:45:00 +0000",
    "3/Nov/2026:10:45:00 +00:00",
    "03/Nov/2026:10:45:60 +0000",
    "03/Nov/2026:10:45:00 +9900",
    "03/Nov/2026:24:45:00 -0000",
    "03/Nov/2026:10:45:00  +0000",
    "03/Nov/2026 10:45:00 +0000",
    "-",
)
REQUESTS = (
    "GET /v8/Leads HTTP/1.1",
    "GET /v8/Leads/123456789012 HTTP/2.0",
    "GET /v8/Leads/123456?page=2&per_page=200 HTTP/1.1",
    "GET /v8/Leads?q=/123456/&a HTTP/1.1",
    "GET /v8/Le\\x22ads?a\\x3db=1",
    "get /v8/Leads",
    "GET /v8/Le ads HTTP/1.1",
    "-",
    "",
    "\\x16\\x03",
)
REST = ("", "\r", ' "203.0.113.9"', " 0.003", "\t", "x", ' "')
STATUSES = ("200", "429", "99", "2000", "-", "")
SIZES = ("512", "-", "", "x")
AGENTS = ("curl/8.1", "-", "", 'a \\"b\\"', "Acme Sync/2.3 (linux)", "مرحبا/1")

lines = st.builds(
    '{} - {} [{}] "{}" {} {} "-" "{}"{}\n'.format,
    *map(st.sampled_from, (HOSTS, USERS, TIMES, REQUESTS, STATUSES, SIZES, AGENTS, REST)),
).map(str.encode)


def read_by(form: Format, data: bytes, options: ParseOptions) -> tuple[Read, list[UsageEvent]]:
    reader = Reader(form, options)
    (batch,) = chunks(io.BytesIO(data))
    read = reader.read(batch)
    reader.close()
    return read, read.calls.events()


@given(
    st.lists(st.one_of(lines, st.sampled_from((COMMON + b"\n", COMBINED + b"\n"))), min_size=1, max_size=40),
    st.booleans(),
)
@settings(max_examples=30, deadline=None)
def test_a_line_is_the_same_call_whichever_way_it_is_read(texts: list[bytes], fold: bool) -> None:
    data, options = b"".join(texts), ParseOptions(organization=7, fold=fold)
    short, of_short = read_by(COMBINED_FORMAT, data, options)
    plain, of_plain = read_by(PATTERNS, data, options)

    assert of_short == of_plain
    assert short.calls.times == plain.calls.times
    assert short.calls.ids() == plain.calls.ids()
    assert (short.calls.id_lows, short.calls.id_highs) == (plain.calls.id_lows, plain.calls.id_highs)
    assert short.unreadable == plain.unreadable


@given(
    st.lists(st.one_of(lines, st.sampled_from((COMMON + b"\n", COMBINED + b"\n"))), min_size=1, max_size=40)
)
@settings(max_examples=10, deadline=None)
def test_an_id_is_the_same_whether_a_server_or_the_store_gets_it(texts: list[bytes]) -> None:
    read, _ = read_by(COMBINED_FORMAT, b"".join(texts), ParseOptions(organization=7))

    sent = [id_halves(identity(7, name)) for name in read.calls.ids()]
    assert list(zip(read.calls.id_lows, read.calls.id_highs, strict=True)) == sent
