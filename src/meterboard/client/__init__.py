"""The client that a provider of an API installs. Imports nothing of the server, and nothing outside the standard library."""

from meterboard.client.allowance import AllowanceGuard, GuardStats
from meterboard.client.asynchronous import AsyncMeter
from meterboard.client.meter import Meter, Stats

__all__ = ["AllowanceGuard", "AsyncMeter", "GuardStats", "Meter", "Stats"]
