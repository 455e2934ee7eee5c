"""`meterboard demo`: a dashboard with sample data."""

from pathlib import Path
from tempfile import TemporaryDirectory

import click

from meterboard.demo.run import run_demo


@click.command()
@click.option("--port", type=int, help="Port to listen on; 0 takes a free one.  [default: 8000]")
@click.option(
    "--data",
    type=click.Path(path_type=Path, file_okay=False, readable=False),
    envvar="METERBOARD_DATA",
    show_envvar=True,
    help="Store the demo in this folder.",
)
@click.option("--seed", type=int, default=1, show_default=True, help="Seed of the sample data.")
@click.option("--no-browser", is_flag=True, help="Print the sign-in URL, don't open a browser.")
def demo(port: int | None, data: Path | None, seed: int, no_browser: bool) -> None:
    """Show a dashboard with 30 days of sample data and new calls every second."""
    with TemporaryDirectory(prefix="meterboard-demo-") as folder:
        run_demo(data or Path(folder), port=port, seed=seed, browser=not no_browser, kept=data is not None)
