"""The command line. Each failure is one line that says what is wrong and what to do, and exit status 1."""

import os
import sys
from importlib import import_module

import click

from meterboard import __version__
from meterboard.commands.errors import OneLineErrors
from meterboard.data_folder import UMASK

COMMANDS = {
    "demo": "demo",
    "serve": "serve",
    "org": "organizations",
    "key": "organizations",
    "user": "organizations",
    "schedule": "schedules",
    "import": "imports",
    "export": "usage",
    "verify": "usage",
    "proxy": "proxy",
    "doctor": "doctor",
}
"""Each command's file. It is read when the command is asked for: half of what a short one takes is imports of others."""


class Commands(OneLineErrors):
    """The commands by their names."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        module = import_module(f"meterboard.commands.{COMMANDS[cmd_name]}")
        command: click.Command = getattr(module, "import_calls" if cmd_name == "import" else cmd_name)
        return command


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__)
def main() -> None:
    """Meterboard: where do the API credits go?"""
    os.umask(UMASK)


if __name__ == "__main__":
    sys.exit(main())
