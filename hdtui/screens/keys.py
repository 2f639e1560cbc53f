"""What keys are called: the last row, the help and the palette read it from the bindings.

A ``Binding`` says all of a key once: ``description`` is its word in the last row, ``tooltip`` what
the help and the palette say of it, ``group`` how keys that belong together are written, in the row
too unless it has a ``key_display``.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TypeVar

from textual.binding import ActiveBinding, Binding, BindingType

from hdtui.widgets.chrome import Key

Choice = TypeVar("Choice")
LABELS = {
    "asterisk": "*",
    "comma": ",",
    "escape": "esc",
    "full_stop": ".",
    "left": "←",
    "left_square_bracket": "[",
    "minus": "-",
    "pageup": "PgUp",
    "plus": "+",
    "question_mark": "?",
    "right": "→",
    "right_square_bracket": "]",
    "slash": "/",
}
"""Names that Textual has for keys, as they are written on keyboards."""
BRACKETS = Binding.Group("[ ]")


def label(binding: Binding) -> str:
    """How a key is written."""
    return LABELS.get(binding.key, binding.key)


def footer_keys(
    bindings: Mapping[str, ActiveBinding], names: Sequence[str], text_of: Callable[[Binding], str]
) -> list[Key]:
    """Those of the named keys that can act now, for the last row."""
    shown = []
    for name in names:
        if name in bindings:
            binding = bindings[name].binding
            written = binding.key_display or label(binding)
            if binding.group is not None and binding.key_display is None:
                keys, compact = binding.group.description, binding.group.compact
                written = keys.replace(" ", "") if compact else keys
            shown.append(Key(written, text_of(binding), name))
    return shown


def help_rows(bindings: Iterable[BindingType]) -> list[tuple[str, str]]:
    """Keys and what they do; those of a group stand in one row."""
    rows: dict[object, tuple[str, list[str]]] = {}
    actions = set()
    for binding in Binding.make_bindings(bindings):
        if not binding.tooltip or binding.action in actions:
            continue
        actions.add(binding.action)  # of several keys for one action the first one is named
        group = binding.group
        written = group.description if group is not None else label(binding)
        rows.setdefault(group or binding.action, (written, []))[1].append(binding.tooltip)
    return [(written, ", ".join(texts)) for written, texts in rows.values()]


def next_of(choices: Sequence[Choice], current: Choice, step: int = 1) -> Choice:
    """The choice behind the current one, in a circle; what is none stands for the first."""
    place = choices.index(current) if current in choices else 0
    return choices[(place + step) % len(choices)]
