"""A widget that fails says so in its place, and everything else goes on.

Textual ends an application at the first error that a handler, a drawing, a timer or a worker lets
through. It tells the application about all of them in one place, ``App._handle_exception``, which
may decide to go on; but the loop of the widget that failed has ended by then, and a drawing that
failed leaves no picture. A timer that should ring once never rings where a busy machine lets the
process sleep while it begins: what waits for it, keys or the end of a batch of drawings, would wait
for ever. None of this has public names, so that methods are replaced here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from weakref import WeakSet

from rich.segment import Segment
from textual._callback import invoke
from textual.box_model import BoxModel
from textual.message_pump import MessagePump
from textual.screen import Screen
from textual.strip import Strip
from textual.timer import Timer
from textual.widget import Widget

if TYPE_CHECKING:
    from textual.geometry import Region
    from textual.message import Message

_dispatch_message = MessagePump._dispatch_message
_render_lines = Widget.render_lines
_get_box_model = Widget._get_box_model
_begin_timer = Timer.__init__
_failing: WeakSet[Widget] = WeakSet()
"""Widgets whose last drawing failed."""


def outlive_errors() -> None:
    """From now on no handler's error ends its widget, and no drawing's error its screen."""
    MessagePump._dispatch_message = _dispatched  # type: ignore[method-assign]
    Widget.render_lines = _drawn  # type: ignore[method-assign]
    Widget._get_box_model = _measured  # type: ignore[method-assign]
    Timer.__init__ = _begun  # type: ignore[method-assign]
    MessagePump._flush_next_callbacks = _called_next  # type: ignore[method-assign]
    Screen._invoke_and_clear_callbacks = _called_after_refresh  # type: ignore[method-assign]


def _begun(self: Timer, *facts: Any, **more: Any) -> None:
    """A timer that skips what it is late for only where it rings again."""
    _begin_timer(self, *facts, **more)
    self._skip = self._skip and self._repeat is None


async def _called_next(self: MessagePump) -> None:
    """What waits for the end of a message is called, whatever the one before it met."""
    callbacks = self._next_callbacks.copy()
    self._next_callbacks.clear()
    for each in callbacks:
        try:
            with self.prevent(*each._prevent):
                await invoke(each.callback)
        except Exception as error:  # noqa: BLE001 -- whatever it is, the others are called
            self.app._handle_exception(error)


async def _called_after_refresh(self: Screen[Any]) -> None:
    """What waits for a drawing is called, whatever the one before it met."""
    callbacks = self._callbacks[:]
    self._callbacks.clear()
    for callback, sender in callbacks:
        with sender._context():
            try:
                await invoke(callback)
            except Exception as error:  # noqa: BLE001 -- whatever it is, the others are called
                self.app._handle_exception(error)


async def _dispatched(self: MessagePump, message: Message) -> None:
    try:
        await _dispatch_message(self, message)
    except Exception as error:  # noqa: BLE001 -- whatever it is, the widget lives on
        self.app._handle_exception(error)


def _drawn(self: Widget, crop: Region) -> list[Strip]:
    try:
        strips = _render_lines(self, crop)
    except Exception as error:  # noqa: BLE001 -- whatever it is, the others are drawn
        _tell(self, "drawing", error)
        if self not in _failing and crop.height < self.size.height:
            self.refresh()  # the sentence stands in the first row
        _failing.add(self)
        return [_sentence(self, error, row).crop(crop.x, crop.right) for row in _rows(crop)]
    _failing.discard(self)
    return strips


def _rows(crop: Region) -> range:
    return range(crop.y, crop.bottom)


def _sentence(widget: Widget, error: Exception, row: int) -> Strip:
    """What stands in the place of a picture: the sentence in its first row, blanks below."""
    name = type(widget).__name__
    words = f" {name} cannot be drawn: {type(error).__name__}" if row == 0 else ""
    return Strip([Segment(words)], len(words)).adjust_cell_length(widget.size.width)


def _measured(self: Widget, *room: Any, **more: Any) -> BoxModel:
    """The size of a widget; one that cannot say how large it is gets a row of its parent."""
    try:
        return _get_box_model(self, *room, **more)
    except Exception as error:  # noqa: BLE001 -- whatever it is, the others are laid out
        from fractions import Fraction

        _tell(self, "laying out", error)
        container = room[0]
        return BoxModel(Fraction(container.width), Fraction(1), self.styles.margin)


def _tell(widget: Widget, doing: str, error: Exception) -> None:
    outlive = getattr(widget.app, "outlive", None)
    if outlive is None:
        raise error
    outlive(f"{doing} {type(widget).__name__}", error)
