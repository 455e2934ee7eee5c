"""
An application that records calls, for the tests to end in every way there is.

`python -m tests.client.application URL KEY SPOOL NAME COUNT [then]`: records COUNT calls with the user set to each
number, says so, and then: `kill` kills itself, `wait` waits for a line on its input.
"""

import os
import signal
import sys

from meterboard.client import Meter


def main() -> None:
    url, key, spool, name, count, then = sys.argv[1:7]
    meter = Meter(url, key, spool=spool, timeout=1)
    for number in range(int(count)):
        meter.record(application=name, user=str(number))
    print(meter.stats.recorded, flush=True)
    if then == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    sys.stdin.readline()


if __name__ == "__main__":
    main()
