"""What the provider of an API installs beside it. Nothing here imports the server or anything outside Python."""

from meterboard.client.allowance import AllowanceGuard, GuardStats
from meterboard.client.asynchronous import AsyncMeter
from meterboard.client.meter import Meter, Stats

__all__ = ["AllowanceGuard", "AsyncMeter", "GuardStats", "Meter", "Stats"]
