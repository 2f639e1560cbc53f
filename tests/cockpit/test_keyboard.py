"""Bytes of a terminal: what is a key is heard, in one piece or in many; nothing else is."""

import pytest
from textual._ansi_sequences import ANSI_SEQUENCES_KEYS
from textual._xterm_parser import XTermParser
from textual.events import Key, Paste
from textual.message import Message

from hdtui.terminal.keyboard import Keyboard

MORE = ("\x1b[<0;10;20M", "\x1b[?2026;2$y", "\x1b[I", "\x1b[12;40R", "\x1bq", "\x1b", "é", "漢")
NO_KEYS = {
    "é of a Latin-1 terminal": b"\xe9",
    "a byte of no encoding": b"\xff",
    "half a character": b"\xc3",
    "a surrogate": b"\xed\xa0\x80",
    "an overlong character": b"\xc0\x80",
    "a mouse at column 200, old form": b"\x1b[M\x20\xe8\x30",
    "a mouse whose report ends early": b"\x1b[M\x20",
    "a mouse of rxvt": b"\x1b[32;10;20M",
    "an unfinished sequence": b"\x1b[1;",
    "the beginning of a sequence": b"\x1b[",
    "a sequence that nobody knows": b"\x1b[?62;1;2c",
    "the colour of the background": b"\x1b]11;rgb:0000/1111/2222\x1b\\",
    "the name of the terminal": b"\x1bP>|xterm(379)\x1b\\",
    "a title that never ends": b"\x1b]0;12qX",
}


class Clock:
    """Time that passes when it is told to."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


def heard(*pieces: bytes) -> list[Message]:
    """What is heard of bytes that come with pauses between them."""
    clock = Clock()
    keyboard, events = Keyboard(XTermParser(), clock), []
    for piece in pieces:
        events += list(keyboard.heard(piece))
        clock.now += 10
    return [*events, *keyboard.tick()]


def as_textual_hears(text: str) -> list[str]:
    parser = XTermParser()
    events = list(parser.feed(text))
    if parser._timeout_time is not None:
        parser._timeout_time = 0
        events += list(parser.tick())
    return [repr(event) for event in events]


def test_every_sequence_that_textual_knows_is_heard_whole_or_byte_by_byte() -> None:
    for text in [*(known for known in ANSI_SEQUENCES_KEYS if known), *MORE]:
        clock, events = Clock(), []
        keyboard = Keyboard(XTermParser(), clock)
        for byte in text.encode():
            events += list(keyboard.heard(bytes([byte])))
        clock.now += 10
        events += list(keyboard.tick())
        wanted = as_textual_hears(text)
        assert [repr(event) for event in events] == wanted, text
        assert [repr(event) for event in heard(text.encode())] == wanted, text


@pytest.mark.parametrize("data", NO_KEYS.values(), ids=NO_KEYS)
def test_what_is_no_key_is_none_and_the_next_key_is_heard(data: bytes) -> None:
    assert heard(data) == []
    events = heard(data, b"q")
    assert [event.key for event in events if isinstance(event, Key)] == ["q"]


def test_a_character_that_comes_in_halves_is_one_key() -> None:
    first, last = bytes("é".encode()[:1]), bytes("é".encode()[1:])
    clock = Clock()
    keyboard = Keyboard(XTermParser(), clock)
    assert list(keyboard.heard(first)) == []
    assert [repr(event) for event in keyboard.heard(last)] == as_textual_hears("é")


def test_a_paste_without_an_end_does_not_take_the_keys_after_it() -> None:
    events = heard(b"\x1b[200~some \x1b[31m text", b"q")
    assert isinstance(events[0], Paste)
    assert events[0].text == "some \x1b[31m text"
    assert [event.key for event in events[1:] if isinstance(event, Key)] == ["q"]


def test_a_paste_whose_end_comes_in_two_pieces_is_one_paste() -> None:
    keyboard = Keyboard(XTermParser(), Clock())
    assert list(keyboard.heard(b"\x1b[200~a1q\x1b[20")) == []
    events = list(keyboard.heard(b"1~j"))
    assert [repr(event) for event in events] == [repr(Paste("a1q")), *as_textual_hears("j")]


def test_a_paste_without_bounds_keeps_its_beginning_and_types_nothing() -> None:
    keyboard = Keyboard(XTermParser(), Clock())
    events = [event for _ in range(40) for event in keyboard.heard(b"\x1b[200~" + b"1" * 100_000)]
    events += list(keyboard.heard(b"\x1b[201~"))
    assert len(events) == 1
    assert isinstance(events[0], Paste)
    assert len(events[0].text) < 2_000_000


def test_esc_twice_is_esc_twice_and_esc_alone_waits_for_its_time() -> None:
    assert [event.key for event in heard(b"\x1b\x1b") if isinstance(event, Key)] == ["escape"] * 2
    keyboard = Keyboard(XTermParser(), Clock())
    assert list(keyboard.heard(b"\x1b")) == []
    assert keyboard.waiting
