"""Colour by role: the themes, and the terminal style that a role has in each of them."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

from rich.style import Style
from textual.theme import Theme

if TYPE_CHECKING:
    from textual.app import App

ROLES = ("text", "muted", "accent", "good", "warn", "bad", "odd")

_TERMINAL = {
    "muted": "dim",
    "accent": "cyan",
    "good": "green",
    "warn": "yellow",
    "bad": "red",
    "odd": "magenta",
}
_MONO = {
    "muted": "dim",
    "accent": "bold",
    "good": "",
    "warn": "bold",
    "bad": "bold reverse",
    "odd": "bold",
}
_DARK = {
    "text": "#d8dee6",
    "muted": "#7f8a99",
    "accent": "#56c2e6",
    "good": "#7fc97f",
    "warn": "#e6c260",
    "bad": "#f07178",
    "odd": "#c792ea",
    "ground": "#10141a",
}
_LIGHT = {
    "text": "#1f2630",
    "muted": "#6b7684",
    "accent": "#00688b",
    "good": "#23702f",
    "warn": "#8a5a00",
    "bad": "#b3261e",
    "odd": "#7b3fa0",
    "ground": "#fafafa",
}
_COLOUR_BLIND = {
    "text": "#e6e6e6",
    "muted": "#8c8c8c",
    "accent": "#56b4e9",
    "good": "#009e73",
    "warn": "#e69f00",
    "bad": "#d55e00",
    "odd": "#cc79a7",
    "ground": "#101010",
}
_ANSI_VARIABLES = {
    "ansi-background": "ansi_default",
    "ansi-foreground": "ansi_default",
    "border": "ansi_default",
    "border-blurred": "ansi_default",
    "block-cursor-foreground": "ansi_black",
    "block-cursor-background": "ansi_white",
    "input-cursor-background": "ansi_white",
    "input-cursor-foreground": "ansi_black",
    "input-selection-background": "ansi_blue",
    "input-selection-foreground": "ansi_white",
    "screen-selection-background": "ansi_blue",
    "screen-selection-foreground": "ansi_white",
}
PALETTES = {
    "terminal": _TERMINAL,
    "dark": _DARK,
    "light": _LIGHT,
    "colour-blind": _COLOUR_BLIND,
    "mono": _MONO,
}


def themes() -> list[Theme]:
    """The themes of the cockpit; ``terminal`` and ``mono`` speak the terminal's own colours."""
    return [_terminal_theme("terminal"), _terminal_theme("mono")] + [
        _colour_theme(name) for name in ("dark", "light", "colour-blind")
    ]


def _terminal_theme(name: str) -> Theme:
    accent = "ansi_cyan" if name == "terminal" else "ansi_default"
    return Theme(
        name=name,
        primary=accent,
        secondary=accent,
        accent=accent,
        warning="ansi_yellow",
        error="ansi_red",
        success="ansi_green",
        foreground="ansi_default",
        background="ansi_default",
        surface="ansi_default",
        panel="ansi_default",
        boost="ansi_default",
        ansi=True,
        variables=_ANSI_VARIABLES,
    )


def _colour_theme(name: str) -> Theme:
    palette = PALETTES[name]
    return Theme(
        name=name,
        primary=palette["accent"],
        secondary=palette["accent"],
        accent=palette["accent"],
        warning=palette["warn"],
        error=palette["bad"],
        success=palette["good"],
        foreground=palette["text"],
        background=palette["ground"],
        surface=palette["ground"],
        panel=palette["ground"],
        dark=name != "light",
    )


@lru_cache(maxsize=512)
def style_of(theme: str, role: str) -> Style:
    """The style of a role such as ``muted`` or ``accent bold`` in a theme."""
    palette = PALETTES.get(theme, _TERMINAL)
    words = role.split()
    colours = [palette.get(word, "") for word in words if word in ROLES]
    if not any(colours) and "text" in palette:
        colours.append(palette["text"])
    extras = [word for word in words if word not in ROLES]
    ground = [f"on {palette['ground']}"] if "ground" in palette else []
    return Style.parse(" ".join([*colours, *extras, *ground]).strip() or "none")


def app_style(app: App[object], role: str) -> Style:
    """The style of a role in the theme the application shows."""
    return style_of(app.theme, role)
