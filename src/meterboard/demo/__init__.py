"""A believable company's usage, for `meterboard demo`."""
