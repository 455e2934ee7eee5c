"""`meterboard org`, `key` and `user`: organisations, API keys and people."""

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from shlex import quote
from typing import Any, NamedTuple

import click

from meterboard.commands.errors import OneLineErrors
from meterboard.commands.host.accounts import open_accounts
from meterboard.commands.host.host import open_host
from meterboard.commands.options import data_option
from meterboard.domain.access import KEY_SCOPES, ROLES, KeyScope, Role
from meterboard.domain.allowance import Allowance
from meterboard.domain.organization import Organization
from meterboard.errors import InvalidParameter, ScheduleError
from meterboard.network.running_server import sign_in_address
from meterboard.schedule.builtin import builtin_schedule, is_file_name
from meterboard.schedule.credit_schedule import CreditSchedule, read_schedule
from meterboard.schedule.plan import allowances
from meterboard.services import Accounts
from meterboard.settings import read_settings
from meterboard.wording import counted

EVERYONE = "*"
DEFAULT_SCHEDULE = "one-per-call"


class Limit(NamedTuple):
    """The value of `--allowance`; None: unlimited."""

    credits: int | None


class LimitType(click.ParamType[Limit]):
    """A number of credits, or `unlimited`."""

    name = "N|unlimited"

    def convert(self, value: Any, param: click.Parameter | None, context: click.Context | None) -> Limit:
        """Returns the limit. Raises: BadParameter: neither a number nor `unlimited`."""
        return Limit(None if value == "unlimited" else click.INT.convert(value, param, context))


allowance_option = click.option("--allowance", type=LimitType(), help="Credits in any rolling 24 hours.")
plan_option = click.option("--plan", help="An edition, such as zoho-crm/enterprise, instead of an allowance.")
licenses_option = click.option("--licenses", type=int, help="User licenses of the plan.")
add_on_option = click.option("--add-on", type=int, help="Credits bought on top of the plan.")


class Allowed(NamedTuple):
    """The options for what an organisation may use; None: not given."""

    allowance: Limit | None
    plan: str | None
    licenses: int | None
    add_on: int | None

    def check(self) -> None:
        """Checks the options. Raises: InvalidParameter: they contradict each other."""
        if self.plan is None and (self.licenses is not None or self.add_on is not None):
            raise InvalidParameter(
                "plan",
                "--licenses and --add-on are those of a plan: name it too, such as --plan zoho-crm/enterprise.",
            )
        if self.plan is not None and self.allowance is not None:
            raise InvalidParameter("plan", "Both --allowance and --plan are given: use one of them.")

    def credits(self, schedule: Callable[[str], CreditSchedule]) -> int | Sequence[Allowance] | None:
        """
        Returns the credits, or the history of a plan; `schedule` returns a schedule by its name.

        Raises: InvalidParameter, ScheduleError: there is no such plan.
        """
        self.check()
        if self.plan is None:
            return self.allowance and self.allowance.credits
        name, _, edition = self.plan.partition("/")
        plans = schedule(name).plans
        return allowances(plans, edition, licenses=self.licenses or 0, add_on=self.add_on or 0)


def _schedule_of(accounts: Accounts, organization: Organization, name: str) -> CreditSchedule:
    """Returns an organisation's own schedule if it has that name, else the built-in one."""
    own = accounts.organizations.own_schedule_text(organization, name)
    return builtin_schedule(name) if own is None else read_schedule(own, stored=True)


def _describe(allowed: int | Sequence[Allowance] | None) -> str:
    credits = allowed if allowed is None or isinstance(allowed, int) else allowed[-1].credits
    return "unlimited credits" if credits is None else counted(credits, "credit")


@click.group(cls=OneLineErrors)
def org() -> None:
    """Manage organisations."""


@org.command("create")
@click.argument("name")
@allowance_option
@plan_option
@licenses_option
@add_on_option
@click.option("--time-zone", default="UTC", show_default=True, help="Time zone of its days.")
@click.option(
    "--schedule", help=f"Credit schedule that prices its calls.  [default: the plan's, or {DEFAULT_SCHEDULE}]"
)
@data_option
def org_create(
    name: str,
    allowance: Limit | None,
    plan: str | None,
    licenses: int | None,
    add_on: int | None,
    time_zone: str,
    schedule: str | None,
    data: Path,
) -> None:
    """Create an organisation: with an allowance, by a plan, or unlimited."""
    allowed = Allowed(allowance, plan, licenses, add_on).credits(builtin_schedule)
    schedule = schedule or (plan.partition("/")[0] if plan else DEFAULT_SCHEDULE)
    _check_schedule(name, schedule)
    with open_accounts(data, create=True) as accounts:
        accounts.organizations.create(name, allowance=allowed, time_zone=time_zone, schedule=schedule)
    click.echo(
        f"Created {name}: {_describe(allowed)} in 24 hours, time zone {time_zone}, schedule {schedule}."
    )
    click.echo(f"Next, create a key: meterboard key create {quote(name)}")


def _check_schedule(organization: str, schedule: str) -> None:
    """Checks the name of a schedule. Raises: ScheduleError: there is no built-in schedule of that name."""
    try:
        builtin_schedule(schedule)
    except ScheduleError as error:
        if Path(schedule).is_file() or is_file_name(schedule):
            raise ScheduleError(
                f"--schedule takes a built-in schedule, not a file. Create the organisation without "
                f"it, then: meterboard schedule use {quote(organization)} {quote(schedule)}"
            ) from error
        raise


@org.command("update")
@click.argument("name")
@allowance_option
@plan_option
@licenses_option
@add_on_option
@click.option(
    "--charge-tasks/--no-charge-tasks",
    default=None,
    help="Charge integration tasks to the allowance, or only count them in statistics.",
)
@data_option
def org_update(
    name: str,
    allowance: Limit | None,
    plan: str | None,
    licenses: int | None,
    add_on: int | None,
    charge_tasks: bool | None,
    data: Path,
) -> None:
    """Change an organisation from now on. Its history stays as it was."""
    wanted = Allowed(allowance, plan, licenses, add_on)
    wanted.check()
    if allowance is None and plan is None and charge_tasks is None:
        raise click.UsageError(
            "Say what to change: --allowance, --plan, --charge-tasks or --no-charge-tasks."
        )
    with open_accounts(data) as accounts:
        organization = accounts.organizations.named(name)
        if allowance is not None or plan is not None:
            allowed = wanted.credits(partial(_schedule_of, accounts, organization))
            accounts.organizations.set_allowance(organization, allowed)
            click.echo(f"From now on {name} may use {_describe(allowed)} in 24 hours.")
        if charge_tasks is not None:
            accounts.organizations.charge_tasks(organization, charge_tasks)
            what = "charged to the allowance" if charge_tasks else "not charged, only counted in statistics"
            click.echo(f"From now on the integration tasks of {name} are {what}.")


@click.group(cls=OneLineErrors)
def key() -> None:
    """Manage API keys."""


@key.command("create")
@click.argument("organization", metavar="ORG")
@click.option("--name", default="default", show_default=True, help="Name of the key.")
@click.option("--scope", type=click.Choice(KEY_SCOPES), help="Permissions.  [default: all; for '*', ingest]")
@data_option
def key_create(organization: str, name: str, scope: KeyScope | None, data: Path) -> None:
    """
    Create an API key for ORG and print it, once.

    ORG '*' creates a provider-wide key, which sends events for every organisation and reads none.
    """
    with open_accounts(data) as accounts:
        owner = None if organization == EVERYONE else accounts.organizations.named(organization)
        if owner is None and scope not in (None, "ingest"):
            raise InvalidParameter(
                "scope", f"The scope is {scope!r}: a provider-wide key can only be ingest."
            )
        click.echo(
            accounts.keys.create(owner, name=name, scope="ingest" if owner is None else scope or "all")
        )


@click.group(cls=OneLineErrors)
def user() -> None:
    """Manage people who may sign in."""


@user.command("create")
@click.argument("organization", metavar="ORG")
@click.argument("email")
@click.option("--role", type=click.Choice(ROLES), default="viewer", show_default=True)
@data_option
def user_create(organization: str, email: str, role: Role, data: Path) -> None:
    """Let EMAIL sign in to ORG; prints a one-time sign-in link that is valid for 24 hours."""
    settings = read_settings(data)
    with open_accounts(data) as accounts:
        link = accounts.people.add(accounts.organizations.named(organization), email, role=role)
    with open_host(data, "user") as host:
        click.echo(sign_in_address(settings.public_url or host.address, link))
