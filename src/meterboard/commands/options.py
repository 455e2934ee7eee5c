"""Options that several commands have."""

from pathlib import Path

import click

DEFAULT_DATA = "meterboard-data"

data_option = click.option(
    "--data",
    type=click.Path(path_type=Path, file_okay=False, readable=False),  # our own message names the owner
    default=DEFAULT_DATA,
    envvar="METERBOARD_DATA",
    show_default=True,
    show_envvar=True,
    help="The folder that holds everything.",
)
