"""How much text one answer may have: names have up to 10,000 characters, so that a limit of rows bounds no memory."""

from meterboard.errors import AnswerTooLong

MAX_ANSWER_CHARACTERS = 16_000_000
"""Of all names in one answer: 10,000 rows of eight usual names have a tenth of that."""


def check_answer_length(characters: int) -> None:
    """Raises: AnswerTooLong: an answer would have more than MAX_ANSWER_CHARACTERS."""
    if characters > MAX_ANSWER_CHARACTERS:
        raise AnswerTooLong(
            f"The names in this answer have more than {MAX_ANSWER_CHARACTERS:,} characters. "
            "Ask for fewer rows, or for all of them as CSV."
        )
