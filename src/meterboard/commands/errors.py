"""Errors of commands: one line on standard error, and exit status 1."""

import os
from typing import Any

import click

from meterboard.errors import MeterboardError

TRACEBACK = "METERBOARD_TRACEBACK"
"""The environment variable that shows where a command failed."""


class OneLineErrors(click.Group):
    """A group whose commands fail with one line."""

    def invoke(self, context: click.Context) -> Any:  # click's own signature
        try:
            return super().invoke(context)
        except MeterboardError as error:
            raise click.ClickException(" ".join(str(error).split())) from error
        except (click.ClickException, click.exceptions.Exit, click.Abort, BrokenPipeError):
            raise  # click ends quietly with status 1 when nothing reads standard output any more
        except Exception as error:
            if TRACEBACK in os.environ:
                raise
            what = " ".join(f"{type(error).__name__}: {error}".split())[:300]
            raise click.ClickException(
                f"Internal error: {what}. Set {TRACEBACK}=1 to see where, and please report it."
            ) from error
