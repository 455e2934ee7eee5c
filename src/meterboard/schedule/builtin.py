"""The built-in credit schedules."""

from functools import lru_cache
from importlib.resources import files

from meterboard.errors import ScheduleError
from meterboard.schedule.credit_schedule import CreditSchedule, read_schedule

FOLDER = files("meterboard.schedule") / "data"


@lru_cache(maxsize=64)
def builtin_schedule(name: str) -> CreditSchedule:
    """Returns the schedule of that name. Raises: ScheduleError: there is none."""
    return read_schedule(builtin_text(name))


def is_file_name(reference: str) -> bool:
    """Returns whether a reference to a schedule is a path to a file, not the name of a built-in schedule."""
    return "/" in reference or reference.endswith(".toml")


def builtin_text(name: str) -> str:
    """Returns the text of a schedule, in TOML. Raises: ScheduleError: there is none of that name."""
    if name not in builtin_names():
        raise ScheduleError(f"There is no schedule {name!r}. Use one of {', '.join(builtin_names())}.")
    return (FOLDER / f"{name}.toml").read_text(encoding="utf-8")


def builtin_names() -> list[str]:
    """Returns the names of the schedules, from A to Z."""
    return sorted(file.name.removesuffix(".toml") for file in FOLDER.iterdir() if file.name.endswith(".toml"))
