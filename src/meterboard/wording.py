"""Counts in messages, which are in English wherever they are read; pages have `meterboard.web.formatting`."""


def counted(number: int, noun: str) -> str:
    """Returns "1 credit", "2,000 credits"."""
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"
