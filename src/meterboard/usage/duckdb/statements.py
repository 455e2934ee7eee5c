"""
The statements that are DuckDB's own: its tables, and all that differs from other engines.

Times are microseconds since 1970 UTC, buckets and days their numbers since then; statements don't use time zones.
"""

from collections.abc import Sequence

from meterboard.domain.dimensions import BUILT_IN, Dimensions
from meterboard.usage.scope_sql import column_list

_BUILT_IN = [dimension.name for dimension in BUILT_IN]
# The rollups have the values themselves. DuckDB stores each distinct value of a block once, so they need less disk than
# a number per combination would, and are grouped ten times as fast without a join.
_DIMENSION_COLUMNS = "".join(f'    "{name}" varchar not null,\n' for name in _BUILT_IN)

LAYOUT = 5
"""The version of the tables below, increased with every change of them."""
DIGEST = f"md5_number_lower(concat_ws(chr(0), organization, {column_list(_BUILT_IN)}{{given}}))"
"""What `numbers.digest` returns; `given` are the own dimensions that have a value."""
FROM_LAYOUT_4 = (
    *(
        f"alter table if exists {table} {change}"
        for table in ("rollup", "daily")
        for change in ("add column as_of bigint default 0", "alter column as_of drop default")
    ),
    "update layout set version = 5",
)
"""
Updates a file of layout 4.

The refresh that a row belongs to was not stored; all rows count as older than any later watermark.
"""
FROM_LAYOUT_3 = (
    "alter table combination alter column combination type bigint",
    "alter table event alter column combination type bigint",
    *FROM_LAYOUT_4,
)
"""
Updates a file of layout 3.

Numbers of combinations had 32 bits, which an API whose calls nearly all differ would use up within a month at a
thousand calls a second.
"""
FROM_LAYOUT_2 = (f"update combination set digest = {DIGEST.format(given='')}", *FROM_LAYOUT_3)
"""Updates a file of layout 2."""
FROM_LAYOUT_1 = (
    "alter table event add column reason integer default -1",
    "alter table event alter column reason drop default",
    "drop table rollup",
    "drop table daily",
    *FROM_LAYOUT_2,
)
"""
Updates a file of layout 1, before the statistics are recomputed from its events.

The reasons for the cost of its calls were not stored.
"""

FROM_LAYOUT = {1: FROM_LAYOUT_1, 2: FROM_LAYOUT_2, 3: FROM_LAYOUT_3, 4: FROM_LAYOUT_4}

SCHEMA = f"""
create table if not exists layout (version integer not null);
create table if not exists combination (
    combination bigint not null,
    digest ubigint not null,
    organization integer not null,
{_DIMENSION_COLUMNS.rstrip()[:-1]}
);
create table if not exists event (
    organization integer not null,
    received_at bigint not null,
    time bigint not null,
    id_low ubigint not null,
    id_high uinteger not null,
    combination bigint not null,
    credits integer not null,
    charged integer not null,
    estimated tinyint not null,
    records integer not null,
    reason integer not null
);
create table if not exists reason (number integer not null, text varchar not null);
create table if not exists rollup (
    organization integer not null,
    bucket integer not null,
{_DIMENSION_COLUMNS}    calls bigint not null,
    credits bigint not null,
    estimated bigint not null,
    charged bigint not null,
    as_of bigint not null
);
create table if not exists daily (
    organization integer not null,
    day integer not null,
{_DIMENSION_COLUMNS}    calls bigint not null,
    credits bigint not null,
    estimated bigint not null,
    charged bigint not null,
    as_of bigint not null
);
create table if not exists watermark (moment bigint not null);
"""

TABLES_OF_DIMENSIONS = ("combination", "rollup", "daily")
"""The tables with a column for each dimension."""
COMBINATION_COLUMNS = ("combination", "digest", "organization", *_BUILT_IN)
"""The columns of every file; others are of own dimensions."""

ROWS_OF_EVENTS = "select coalesce(max(rowid), -1) + 1 from event"
IDS_OF_ROWS = """
select coalesce(list(id_low), []), coalesce(min(received_at), 0), coalesce(max(received_at), 0)
from event where rowid >= ? and rowid < ? and id_low <> 0
"""
KNOWN_IDS = """
select id_low, id_high from event
semi join (select unnest($1::ubigint[]) as id_low, unnest($2::uinteger[]) as id_high) using (id_low, id_high)
where received_at between $3 and $4
"""
ANY_KNOWN_CALLS = """
select (select count(*) from event semi join (select id_low from calls where id_low <> 0) using (id_low)),
       (select count(*) - count(distinct id_low) from calls)
"""
KNOWN_CALLS = """
select id_low, id_high from event
semi join (select id_low, id_high from calls where id_low <> 0) using (id_low, id_high)
"""
ADD_CALLS = """
insert into event
select kinds.organization, $received, time, id_low, id_high, numbered.combination, credits, charged, estimated, records,
       reason
from calls join kinds using (kind) join callers using (caller) join origins using (origin)
join numbered on numbered.kind = kinds.first_equal and numbered.caller = callers.first_equal
    and numbered.origin = origins.first_equal
"""
DELETE_EVENTS_BEFORE = "delete from event where time < ?::bigint * 900000000"
DELETE_RECEIVED = "delete from event where received_at in (select unnest($1::bigint[]))"
DROP_BATCH_COMBINATIONS = ("drop table batch_combinations", "drop table numbered")
ALL_COMBINATION_COLUMNS = """
select column_name from duckdb_columns() where table_name = 'combination' order by column_index
"""
LATEST = "select coalesce(max(greatest(received_at, time)), 0) from event"
RECEIPT_HOURS = "select distinct received_at // 3600000000 as hour from event order by hour"
NEXT_NUMBER = "select coalesce(max(combination), -1) + 1 from combination"
UNUSED_COMBINATIONS = (
    "delete from combination where combination not in (select distinct combination from event)"
)

# The clock of a client may be ahead, and no period ends after the watermark: such an event is counted when the
# watermark has passed its time. The second part finds those events; its bounds on `time` limit how many rows it reads.
FRESH = """
create or replace temp table fresh as
select organization, bucket, combination, calls, credits, estimated, charged
from (
    select time // 900000000 as bucket, combination,
           count(*) as calls, sum(credits) as credits, sum(estimated) as estimated,
           sum(charged) as charged
    from (
        select time, combination, credits, estimated, charged from event
        where received_at >= $since and received_at < $until and time < $until
        union all
        select time, combination, credits, estimated, charged from event
        where received_at >= $since - $ahead and received_at < $since and time >= $since and time < $until
    ) as event
    group by bucket, combination
) as counted join combination using (combination)
order by organization, bucket, combination
"""
DAYS_OF_FRESH = "select distinct bucket // 96 from fresh"
PIECES = "select count(*), (select count(*) from merged) from {table} where {step} between ? and ?"

WINDOW = """
select count(*), coalesce(sum(charged), 0) from event where organization = ? and time > ? and time <= ?
"""
RETURNS = """
select time // 900000000 as bucket, count(*), sum(charged) from event
where organization = ? and time > ? and time <= ? group by bucket
"""

# The statements that name dimensions. `shown` are those of the settings; `stored` are those that the file has columns
# of, which may be more: a dimension that is removed from the settings stays until retention deletes its values.

_KNOWN_COMBINATIONS = """
select combination, organization, {shown} from combination
where digest in (select unnest($1::ubigint[])){nothing_hidden}
"""
_NEWEST_COMBINATIONS = """
select combination, organization, {shown} from combination where true{nothing_hidden} order by combination desc limit ?
"""
# An import's calls: their combinations, the stored ones and those with new numbers, then the calls themselves. `calls`,
# `kinds`, `callers` and `origins` are Python variables.
_BATCH_COMBINATIONS = """
create or replace temp table batch_combinations as
select kind, caller, origin, index, organization, {shown}, {digest} as digest
from (
    select *, row_number() over (order by caller, kind, origin) - 1 as index from (
        select distinct kinds.first_equal as kind, callers.first_equal as caller, origins.first_equal as origin
        from calls join kinds using (kind) join callers using (caller) join origins using (origin)
    )
) join kinds using (kind) join callers using (caller) join origins using (origin)
"""
_NUMBERED = """
create or replace temp table numbered as
select batch_combinations.*, combination is null as is_new,
       coalesce(combination, $next + row_number() over (partition by combination is null order by index) - 1)
           as combination
from batch_combinations left join (
    select combination, digest, organization, {shown} from combination
    where digest in (select digest from batch_combinations){nothing_hidden}
) using (digest, organization, {shown})
"""
_ADD_COMBINATIONS = """
insert into combination (combination, digest, organization, {shown})
select combination, digest, organization, {shown} from numbered where is_new
"""
# Values are joined last: numbers of combinations are grouped and ordered several times as fast as text.
_ROLL_UP = """
insert into rollup (organization, bucket, {stored}, calls, credits, estimated, charged, as_of)
select organization, bucket, {stored}, calls, credits, estimated, charged, $as_of
from fresh join (select combination, {stored} from combination) using (combination)
"""
# Ranges of days are queried far more often than they are refreshed, and have a fraction of the rows by day.
_ROLL_UP_DAYS = """
insert into daily (organization, day, {stored}, calls, credits, estimated, charged, as_of)
select organization, day, {stored}, calls, credits, estimated, charged, $as_of
from (
    select organization, bucket // 96 as day, combination, sum(calls) as calls, sum(credits) as credits,
           sum(estimated) as estimated, sum(charged) as charged
    from fresh group by organization, day, combination order by organization, day, combination
) join (select combination, {stored} from combination) using (combination)
"""
_DAY_OF_BUCKETS = """
insert into daily (organization, day, {stored}, calls, credits, estimated, charged, as_of)
select organization, bucket // 96 as day, {stored}, sum(calls), sum(credits), sum(estimated), sum(charged), max(as_of)
from rollup where bucket // 96 = ? group by organization, day, {stored}
"""

_MERGED = """
create or replace temp table merged as
select organization, {{step}}, {stored}, sum(calls) as calls, sum(credits) as credits, sum(estimated) as estimated,
       sum(charged) as charged, max(as_of) as as_of
from {{table}} where {{step}} between ? and ?
group by organization, {{step}}, {stored} order by organization, {{step}}, {stored}
"""
# A hash replaces the dimensions' values, whose text would take gigabytes in a join of this size.
_DIFFERENCE = """
with events as (
    select bucket, hash({stored}) as combination,
           sum(calls) as calls, sum(credits) as credits, sum(estimated) as estimated, sum(charged) as charged
    from (
        select time // 900000000 as bucket, combination,
               count(*) as calls, sum(credits) as credits, sum(estimated) as estimated, sum(charged) as charged
        from event where organization = $organization and greatest(received_at, time) < $watermark
        group by all
    ) as event join combination using (combination)
    group by all
), expected as (
    select 'bucket' as step, bucket as number, combination, calls, credits, estimated, charged from events
    union all
    select 'day', bucket // 96, combination, sum(calls), sum(credits), sum(estimated), sum(charged)
    from events group by bucket // 96, combination
), stored as (
    select 'bucket' as step, bucket as number, hash({stored}) as combination, calls, credits, estimated, charged
    from rollup where organization = $organization and as_of <= $watermark
    union all
    select 'day', day, hash({stored}), calls, credits, estimated, charged
    from daily where organization = $organization and as_of <= $watermark
), counted as (
    select step, number, combination,
           sum(calls) as calls, sum(credits) as credits, sum(estimated) as estimated, sum(charged) as charged
    from stored group by all
)
select (select coalesce(sum(calls), 0) from events),
       coalesce(sum(abs(coalesce(counted.calls, 0) - coalesce(expected.calls, 0))), 0),
       coalesce(sum(abs(coalesce(counted.credits, 0) - coalesce(expected.credits, 0))), 0),
       coalesce(sum(abs(coalesce(counted.estimated, 0) - coalesce(expected.estimated, 0))), 0),
       coalesce(sum(abs(coalesce(counted.charged, 0) - coalesce(expected.charged, 0))), 0)
from counted full join expected using (step, number, combination)
"""


class Statements:
    """The statements that name dimensions, for an installation's dimensions and the own dimensions in its file."""

    def __init__(self, dimensions: Dimensions, in_file: Sequence[str]) -> None:
        self.shown = dimensions.names
        self.own_shown = dimensions.own_names
        self.own_in_file = tuple(in_file)
        """The own dimensions that the file has columns of, in the order of the columns."""
        given = "".join(
            f", case when \"{name}\" <> '' then '{name}' || chr(0) || \"{name}\" end"
            for name in sorted(dimensions.own_names)
        )
        hidden = [name for name in in_file if name not in dimensions.own_names]
        texts = {
            "shown": column_list(dimensions.names),
            "stored": column_list([*_BUILT_IN, *in_file]),
            "digest": DIGEST.format(given=given),
            "nothing_hidden": "".join(f" and \"{name}\" = ''" for name in hidden),
        }
        self.known_combinations = _KNOWN_COMBINATIONS.format(**texts)
        self.newest_combinations = _NEWEST_COMBINATIONS.format(**texts)
        self.batch_combinations = _BATCH_COMBINATIONS.format(**texts)
        self.numbered = _NUMBERED.format(**texts)
        self.add_combinations = _ADD_COMBINATIONS.format(**texts)
        self.roll_up = _ROLL_UP.format(**texts)
        self.roll_up_days = _ROLL_UP_DAYS.format(**texts)
        self.day_of_buckets = _DAY_OF_BUCKETS.format(**texts)
        self.merged = _MERGED.format(**texts)
        self.difference = _DIFFERENCE.format(**texts)
