"""The filter language: ``kind:teacher return>1000 -tag:old took<10m "free text"``, ``|`` for or."""

import difflib
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from engine.errors import UsageError

Value = str | float | datetime | Sequence[str] | None
Lookup = Callable[[str], Value]
Vocabulary = Mapping[str, Sequence[str]]
"""Fields with few values, and these."""

NO_WORDS: Vocabulary = {}

_TERM = re.compile(r"^(-?)([A-Za-z_/][\w ./]*?)(!=|>=|<=|=|>|<|:)(.*)$", re.DOTALL)
_TOKEN = re.compile(r'(?:[^\s"|]|"[^"]*")+|\|')
_QUANTITY = re.compile(r"^(-?\d+(?:\.\d+)?(?:[eE][-+]?\d+)?)\s*(ms|[kMGTsmhd%x]?)$")
_UNITS = {
    "": 1.0,
    "x": 1.0,
    "k": 1e3,
    "M": 1e6,
    "G": 1e9,
    "T": 1e12,
    "%": 0.01,
    "ms": 1e-3,
    "s": 1.0,
    "m": 60.0,
    "h": 3600.0,
    "d": 86400.0,
}


class FilterError(UsageError):
    """A filter that cannot be read; the message says what to write instead."""


@dataclass(frozen=True)
class Term:
    """One condition: ``field operator value``; free text has an empty field."""

    field: str
    operator: str
    value: str
    negated: bool = False

    def holds(self, lookup: Lookup) -> bool:
        """Whether the looked-up value meets the condition; unknown values never do."""
        found = lookup(self.field)
        return self._meets(found) != self.negated

    def _meets(self, found: Value) -> bool:
        if found is None:
            return False
        if isinstance(found, datetime):
            return _compare_moment(found, self.operator, self.value)
        if isinstance(found, int | float):
            return _compare_number(float(found), self.operator, self.value)
        if isinstance(found, str):
            return _compare_text(found, self.operator, self.value)
        texts = [_compare_text(item, self.operator, self.value) for item in found]
        return all(texts) if self.operator == "!=" else any(texts)


@dataclass(frozen=True)
class Filter:
    """All of the groups must hold; a group holds when any of its alternatives does."""

    text: str
    groups: tuple[tuple[Term, ...], ...] = ()

    def passes(self, lookup: Lookup) -> bool:
        """Whether what ``lookup`` knows passes; it is asked for field ``""`` for free text."""
        return all(any(term.holds(lookup) for term in group) for group in self.groups)

    @property
    def fields(self) -> frozenset[str]:
        return frozenset(term.field for group in self.groups for term in group)


def parse_filter(text: str, fields: Sequence[str], vocabulary: Vocabulary = NO_WORDS) -> Filter:
    """Read a filter.

    Raises:
        FilterError: A field that does not exist, or a value that its comparison cannot use or
            that ``vocabulary`` does not have.
    """
    groups: list[list[Term]] = []
    joins = False
    for word in _TOKEN.findall(text):
        if word == "|":
            joins = bool(groups)
            continue
        terms = _terms(word, fields, vocabulary, groups[-1][-1] if joins else None)
        for term in terms:
            _check_value(term, vocabulary)
        if joins:
            groups[-1] += terms
        else:
            groups.append(terms)
        joins = False
    return Filter(text, tuple(tuple(group) for group in groups))


def _terms(
    token: str, fields: Sequence[str], vocabulary: Vocabulary, before: Term | None
) -> list[Term]:
    found = _TERM.match(token)
    if found is None:
        negated = token.startswith("-") and len(token) > 1
        word = token[1:] if negated else token
        if before is not None and before.field:
            return [Term(before.field, before.operator, _unquoted(word), before.negated)]
        return [Term("", ":", _unquoted(word), negated)]
    minus, field, operator, value = found.groups()
    known = _known(field.strip(), fields)
    value = _unquoted(value)
    if not value and known in vocabulary:
        raise FilterError(f"{known}: {' '.join(vocabulary[known])}")
    if not value:
        raise FilterError(f'"{field}{operator}" needs a value after it')
    if operator in {">", ">=", "<", "<="}:
        _check_comparable(field, value)
    return [Term(known, operator, value, bool(minus))]


def _known(field: str, fields: Sequence[str]) -> str:
    wanted = field.replace("_", " ").lower()
    for name in fields:
        if name.lower() in {field.lower(), wanted} or name.replace("_", " ").lower() == wanted:
            return name
    close = difflib.get_close_matches(field, fields, n=1, cutoff=0.5)
    ending = [name for name in fields if name.endswith(f".{field}")]
    hint = f"; did you mean {(ending or close)[0]}?" if ending or close else ""
    raise FilterError(f'"{field}" is no column or metric{hint}')


def _check_comparable(field: str, value: str) -> None:
    if _QUANTITY.match(value) is None and _moment(value) is None:
        raise FilterError(f"{field} compares with a number or a date, found {value!r}")


def _check_value(term: Term, vocabulary: Vocabulary) -> None:
    words = vocabulary.get(term.field, ())
    operator = "=" if term.operator == "!=" else term.operator
    if not words or any(_compare_text(word, operator, term.value) for word in words):
        return
    close = difflib.get_close_matches(term.value.lower(), words, n=1, cutoff=0.5)
    hint = f"; did you mean {close[0]}?" if close else ";"
    raise FilterError(f'no {term.field} is "{term.value}"{hint} known: {" ".join(words)}')


def _unquoted(text: str) -> str:
    return text.replace('"', "")


def quantity(text: str) -> float | None:
    """A number with a unit as the screens show it: 1M, 10m (minutes), 61 %, 13.3x."""
    found = _QUANTITY.match(text.strip())
    return float(found.group(1)) * _UNITS[found.group(2)] if found else None


def _compare_number(found: float, operator: str, text: str) -> bool:
    value = quantity(text)
    if value is None:
        return False
    return {
        ":": found == value,
        "=": found == value,
        "!=": found != value,
        ">": found > value,
        ">=": found >= value,
        "<": found < value,
        "<=": found <= value,
    }[operator]


def _compare_text(found: str, operator: str, text: str) -> bool:
    low, wanted = found.casefold(), text.casefold()
    if operator == ":":
        return wanted in low
    if operator == "=":
        return low == wanted
    if operator == "!=":
        return low != wanted
    number, value = quantity(found), quantity(text)
    if number is None or value is None:
        return False
    return _compare_number(number, operator, text)


def _moment(text: str) -> datetime | None:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    return moment if moment.tzinfo else moment.astimezone()


def _compare_moment(found: datetime, operator: str, text: str) -> bool:
    if operator in {":", "="}:
        return found.astimezone().isoformat(" ").startswith(text)
    if operator == "!=":
        return not found.astimezone().isoformat(" ").startswith(text)
    wanted = _moment(text)
    seconds = quantity(text)
    if wanted is None and seconds is not None:
        age_s = (datetime.now(UTC) - found).total_seconds()
        return _compare_number(age_s, operator, text)
    if wanted is None:
        return False
    return _compare_number(found.timestamp() - wanted.timestamp(), operator, "0")


class EditedFilter:
    """A filter whose text is edited: ``accepted`` last, and ``current``, which is in effect.

    While the text has a problem the accepted one is in effect.
    """

    def __init__(
        self, fields: Callable[[], Sequence[str]], vocabulary: Vocabulary = NO_WORDS
    ) -> None:
        self._fields = fields
        self._vocabulary = vocabulary
        self.accepted = Filter("")
        self.current = self.accepted

    def problem(self, text: str) -> str:
        """What is wrong with a text; empty where nothing is."""
        try:
            parse_filter(text, self._fields(), self._vocabulary)
        except FilterError as error:
            return str(error)
        return ""

    def use(self, text: str, *, final: bool) -> str:
        """Put a text into effect and say what is wrong with it; a ``final`` one is accepted."""
        self.current = self.accepted
        problem = self.problem(text)
        if problem or text == self.accepted.text:
            return problem
        fields = self._fields()
        part = text if final else finished_part(text, fields)
        self.current = parse_filter(part, fields, self._vocabulary)
        if final:
            self.accepted = self.current
        return ""

    def answer(self, text: str, *, final: bool) -> tuple[str, str]:
        """Put a text into effect; the sentence for the user, and its role."""
        problem = self.use(text, final=final)
        if problem:
            return problem, "warn"
        offers = completions(text, self._fields())
        return f"Filter: {'  '.join(offers)}" if offers else "", "text"


def finished_part(text: str, fields: Sequence[str]) -> str:
    """The text without a last word that may still become a field."""
    if not completions(text, fields):
        return text
    return text.removesuffix(text.split()[-1])


def completions(text: str, fields: Sequence[str]) -> list[str]:
    """Fields that the last word of an unfinished filter may become."""
    last = text.rsplit(None, 1)[-1] if text and not text[-1].isspace() else ""
    word = last.lstrip("-")
    if not word or _TERM.match(last):
        return []
    return [name for name in fields if word.lower() in name.lower()][:8]
