"""
The statements that DuckDB runs: its tables, and whatever ClickHouse would say otherwise.

Times are microseconds since 1970 UTC, buckets and days their numbers since then; no statement knows a time zone.
"""

SCHEMA = """
create table if not exists combination (
    combination integer not null,
    digest ubigint not null,
    organization integer not null,
    application varchar not null,
    function varchar not null,
    module varchar not null,
    method varchar not null,
    version varchar not null,
    ip varchar not null,
    "user" varchar not null,
    status varchar not null
);
create table if not exists event (
    organization integer not null,
    received_at bigint not null,
    time bigint not null,
    id_low ubigint not null,
    id_high ubigint not null,
    combination integer not null,
    credits integer not null,
    records integer not null
);
create table if not exists rollup (
    organization integer not null,
    bucket integer not null,
    combination integer not null,
    calls bigint not null,
    credits bigint not null
);
create table if not exists daily (
    organization integer not null,
    day integer not null,
    combination integer not null,
    calls bigint not null,
    credits bigint not null
);
create table if not exists watermark (moment bigint not null);
"""

IDS_OF_ROWS = """
select coalesce(list(id_low), []), coalesce(max(received_at), 0)
from event where rowid >= ? and rowid < ? and id_low <> 0
"""
KNOWN_IDS = """
select id_low, id_high from event
semi join (select unnest($1::ubigint[]) as id_low, unnest($2::ubigint[]) as id_high) using (id_low, id_high)
"""
KNOWN_COMBINATIONS = """
select * exclude (digest) from combination where digest in (select unnest($1::ubigint[]))
"""
NEWEST_COMBINATIONS = "select * exclude (digest) from combination order by combination desc limit ?"
UNUSED_COMBINATIONS = "delete from combination where combination not in (select combination from event)"

# An event's clock may run ahead of ours, and no period ends after the watermark: such an event waits until the
# watermark has passed its time. The second half finds those; the time that they have in common keeps it from reading
# what was received in the minutes before.
FRESH = """
create or replace temp table fresh as
select organization, time // 900000000 as bucket, combination, count(*) as calls, sum(credits) as credits
from (
    select organization, time, combination, credits from event
    where received_at >= $since and received_at < $until and time < $until
    union all
    select organization, time, combination, credits from event
    where received_at >= $since - $ahead and received_at < $since and time >= $since and time < $until
) as event
group by organization, bucket, combination
"""
ROLL_UP = "insert into rollup select * from fresh order by organization, bucket, combination"
# A range of days is asked for far more often than it is refreshed, and has a fraction of the rows by day.
ROLL_UP_DAYS = """
insert into daily
select organization, bucket // 96 as day, combination, sum(calls), sum(credits)
from fresh group by organization, day, combination order by organization, day, combination
"""
DAY_OF_BUCKETS = """
insert into daily
select organization, bucket // 96 as day, combination, sum(calls), sum(credits)
from rollup where bucket // 96 = ? group by organization, day, combination
"""

PIECES = "select count(*), count(distinct (organization, {step}, combination)) from {table} where {step} between ? and ?"
MERGED = """
create or replace temp table merged as
select organization, {step}, combination, sum(calls) as calls, sum(credits) as credits
from {table} where {step} between ? and ?
group by organization, {step}, combination order by organization, {step}, combination
"""

WINDOW = """
select count(*), coalesce(sum(credits), 0) from event where organization = ? and time > ? and time <= ?
"""
DIFFERENCE = """
with events as (
    select time // 900000000 as bucket, combination, count(*) as calls, sum(credits) as credits
    from event where organization = $organization and greatest(received_at, time) < $watermark
    group by bucket, combination
), expected as (
    select 'bucket' as step, bucket as number, combination, calls, credits from events
    union all
    select 'day', bucket // 96, combination, sum(calls), sum(credits) from events group by bucket // 96, combination
), kept as (
    select 'bucket' as step, bucket as number, combination, calls, credits from rollup where organization = $organization
    union all
    select 'day', day, combination, calls, credits from daily where organization = $organization
), counted as (
    select step, number, combination, sum(calls) as calls, sum(credits) as credits from kept group by all
)
select (select coalesce(sum(calls), 0) from events),
       coalesce(sum(abs(coalesce(counted.calls, 0) - coalesce(expected.calls, 0))), 0),
       coalesce(sum(abs(coalesce(counted.credits, 0) - coalesce(expected.credits, 0))), 0)
from counted full join expected using (step, number, combination)
"""
