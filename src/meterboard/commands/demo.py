"""`meterboard demo`: a company to look at."""

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
    help="Keep the demo in this folder.",
)
@click.option("--seed", type=int, default=1, show_default=True, help="The same seed makes the same company.")
@click.option("--no-browser", is_flag=True, help="Only print the address that signs in.")
def demo(port: int | None, data: Path | None, seed: int, no_browser: bool) -> None:
    """Thirty days of a believable company's usage, then the dashboard, with calls still coming in."""
    with TemporaryDirectory(prefix="meterboard-demo-") as folder:
        run_demo(data or Path(folder), port=port, seed=seed, browser=not no_browser, kept=data is not None)
