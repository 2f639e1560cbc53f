"""What a terminal sends becomes keys; what is no key becomes nothing.

Bytes that are no UTF-8, mouse reports in the old form, answers of the terminal to questions nobody
asked, escape sequences that are unknown or never end: Textual's parser ends at some of them and
types others as if they were keys, ``1`` and ``]`` among them. So only what it understands, and
whole, reaches it.
"""

import re
import time
from codecs import getincrementaldecoder
from collections.abc import Callable, Generator, Iterable

from textual import constants
from textual._xterm_parser import (
    BRACKETED_PASTE_END,
    BRACKETED_PASTE_START,
    SPECIAL_SEQUENCES,
    XTermParser,
    _re_cursor_position,
    _re_in_band_window_resize,
    _re_mouse_event,
    _re_terminal_mode_response,
)
from textual.events import Key, Paste
from textual.message import Message

ESC = "\x1b"
STRING_S = 0.25
"""An answer of the terminal or a pasted text in which nothing more comes for so long has ended."""
MOST_CHARACTERS = 1_000_000
"""What is longer is no answer of a terminal, and more of a paste is forgotten."""
_OLD_MOUSE = re.compile(rb"\x1b\[M[\x20-\xff]{3}", re.DOTALL)
_BEGUN_OLD_MOUSE = re.compile(rb"\x1b\[M[\x20-\xff]{0,2}\Z", re.DOTALL)
_CONTROL = re.compile(r"\x1b(\[\[?[0-?]*[ -/]*[@-Z\\-~]|O[0-?]*[@-~])")
_BEGUN_CONTROL = re.compile(r"\x1b(\[\[?[0-?]*[ -/]*|O[0-?]*)?\Z")
_BROKEN_CONTROL = re.compile(r"\x1b[\[O][ -?\[]*")
"""Broken off by what belongs to no sequence."""
_STRING = re.compile(r"\x1b[\]PX^_].*?(\x07|\x1b\\|\x9c)", re.DOTALL)
_BEGUN_STRING = re.compile(r"\x1b[\]PX^_]")


class Keyboard:
    """Turns bytes into events; ``tick`` ends what waits for more and gets none."""

    def __init__(self, parser: XTermParser, clock: Callable[[], float] = time.monotonic) -> None:
        self._parser = parser
        self._clock = clock
        self._decode = getincrementaldecoder("utf-8")("ignore").decode
        self._mouse = b""
        self._text = ""
        self._pasted: str | None = None
        self._ends_at = 0.0

    @property
    def waiting(self) -> bool:
        """Something is begun that only time may end."""
        return bool(self._text or self._mouse) or self._pasted is not None

    def heard(self, data: bytes) -> Iterable[Message]:
        """The events of these bytes, and of what before them has waited long enough."""
        yield from self.tick()
        if data:
            yield from self.feed(data)

    def feed(self, data: bytes) -> Iterable[Message]:
        """The events of these bytes and of those before that waited for them."""
        data = _OLD_MOUSE.sub(b"", self._mouse + data)
        begun = _BEGUN_OLD_MOUSE.search(data)
        self._mouse = b"" if begun is None else begun[0]
        self._text += self._decode(data[: len(data) - len(self._mouse)])
        yield from self._whole()
        strings = self._pasted is not None or _BEGUN_STRING.match(self._text)
        self._ends_at = self._clock() + (STRING_S if strings else constants.ESCAPE_DELAY)

    def tick(self) -> Iterable[Message]:
        """The events of what has waited long enough."""
        if not self.waiting or self._clock() < self._ends_at:
            return
        self._mouse = b""
        text, self._text = self._text, ""
        if self._pasted is not None:
            yield from self._paste(self._pasted + text)
        elif text == ESC:
            yield Key("escape", ESC)
        elif text and not _BEGUN_STRING.match(text):
            yield from self._control(text)  # some terminals end keys as others begin them: esc [3$

    def _whole(self) -> Generator[Message, None, None]:
        """The events of everything that is whole; what is only begun stays."""
        while self._text:
            if self._pasted is not None:
                if not (yield from self._paste_whole()):
                    return
            elif not self._text.startswith(ESC):
                plain, escape, rest = self._text.partition(ESC)
                self._text = escape + rest
                yield from self._parser.feed(plain)
            elif not (yield from self._escape_whole()):
                return

    def _escape_whole(self) -> Generator[Message, None, bool]:
        """The events of the sequence at the front; False where more of it may come."""
        text = self._text
        if text.startswith(ESC + ESC):
            self._text = text[1:]
            yield Key("escape", ESC)
        elif _BEGUN_STRING.match(text):
            string = _STRING.match(text)
            if string is None and len(text) <= MOST_CHARACTERS:
                return False
            self._text = text[string.end() if string else len(text) :]
        elif control := _CONTROL.match(text):
            self._text = text[control.end() :]
            yield from self._control(control[0])
        elif _BEGUN_CONTROL.match(text):
            return False
        elif broken := _BROKEN_CONTROL.match(text):
            self._text = text[broken.end() :]
        else:
            self._text = text[2:]
            known = list(self._parser._sequence_to_key_events(text[:2]))
            yield from known or self._parser._sequence_to_key_events(text[1], alt=True)
        return True

    def _control(self, sequence: str) -> Iterable[Message]:
        """The events of a whole control sequence, none where the parser knows no such one."""
        if sequence == BRACKETED_PASTE_START:
            self._pasted = ""
        elif sequence != BRACKETED_PASTE_END and self._is_known(sequence):
            yield from self._parser.feed(sequence)

    def _is_known(self, sequence: str) -> bool:
        return (
            sequence in SPECIAL_SEQUENCES
            or _re_in_band_window_resize.fullmatch(sequence) is not None
            or _re_cursor_position.fullmatch(sequence) is not None
            or _re_mouse_event.fullmatch(sequence) is not None
            or _re_terminal_mode_response.fullmatch(sequence) is not None
            or any(True for _ in self._parser._sequence_to_key_events(sequence))
        )

    def _paste_whole(self) -> Generator[Message, None, bool]:
        """The event of a paste that has ended; False where more may come."""
        pasted, end, rest = ((self._pasted or "") + self._text).partition(BRACKETED_PASTE_END)
        if not end:
            self._pasted, self._text = pasted, ""
            if len(pasted) > MOST_CHARACTERS:  # its end may have begun in its last characters
                self._pasted = pasted[: MOST_CHARACTERS // 2] + pasted[-len(BRACKETED_PASTE_END) :]
            return False
        self._text = rest
        yield from self._paste(pasted)
        return True

    def _paste(self, text: str) -> Iterable[Message]:
        self._pasted = None
        yield Paste(text.replace("\x00", ""))
