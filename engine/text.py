"""Text from outside made safe, and the few words that every sentence needs."""

import unicodedata

_OPENINGS = ("A ", "An ", "Cannot ", "No ", "Robot ", "Run ", "Runs ", "The ", "There ")
_HIDDEN = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}


def printable(text: str, limit: int = 2000) -> str:
    """One line without control characters, each replaced by a dot that can be seen."""
    line = text if len(text) <= limit else text[: limit - 3] + "..."
    if line.isascii() and line.isprintable():
        return line
    return "".join("·" if unicodedata.category(letter) in _HIDDEN else letter for letter in line)


def clause(sentence: str) -> str:
    """A sentence as it goes on behind a colon: in lower case unless a name begins it."""
    return sentence[:1].lower() + sentence[1:] if sentence.startswith(_OPENINGS) else sentence


def counted(number: int, noun: str, plural: str = "") -> str:
    """A number of things: 1 robot, 2 robots; 2 policies where the plural is told."""
    return f"{number} {noun if number == 1 else plural or f'{noun}s'}"


def amount(number: float) -> str:
    """A count with a letter for its size: 912, 96k, 1.2M."""
    for size, letter in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if abs(number) >= 10 * size or (size > 1e3 and abs(number) >= size):
            digits = 1 if letter != "k" else 0
            return f"{number / size:.{digits}f}{letter}"
    return f"{number:.3g}" if number < 100 else f"{number:.0f}"
