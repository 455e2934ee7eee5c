"""The limit on the text of a result: names have up to 10,000 characters, so a limit on rows does not bound memory."""

from meterboard.errors import AnswerTooLong

MAX_ANSWER_CHARACTERS = 16_000_000
"""The limit for all names in a result: 10,000 rows of eight usual names have a tenth of it."""


def check_answer_length(characters: int) -> None:
    """Checks the text of a result. Raises: AnswerTooLong: it has more than MAX_ANSWER_CHARACTERS."""
    if characters > MAX_ANSWER_CHARACTERS:
        raise AnswerTooLong(
            f"The names in this result have more than {MAX_ANSWER_CHARACTERS:,} characters. "
            "Request fewer rows, or all of them as CSV."
        )
