"""``hdtui settings STAGE``: every setting of a stage, what it may be and what it means."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from engine.config.overrides import plain
from engine.errors import UsageError
from hdtui.cli import completion
from hdtui.cli.options import Call, NoHome, grouped_options, known_name
from hdtui.cli.output import print_json
from hdtui.data.settings import Setting, list_settings


@grouped_options(home=NoHome)
def settings_command(
    call: Call,
    stage: Annotated[
        str,
        typer.Argument(
            metavar="STAGE",
            help="pipeline, or a kind of run, or the command that starts one.",
            autocompletion=completion.stages,
        ),
    ],
    keys: Annotated[
        list[str] | None,
        typer.Argument(metavar="[KEY...]", help="Only settings that begin so, such as ppo."),
    ] = None,
) -> None:
    """Every setting that --set takes: default, what it may be, what it means."""
    from engine.workers.stages import STAGES

    names = {word.command.split()[-1]: str(kind) for kind, word in STAGES.items()}
    names |= {str(kind): str(kind) for kind in STAGES}
    kind = names[known_name(stage, names, "stage")]
    found = list_settings(kind)
    for key in keys or []:
        if not any(each.key.startswith(key) for each in found):
            raise UsageError(f"{stage} has no setting that begins with {key!r}")
    chosen = [each for each in found if not keys or each.key.startswith(tuple(keys))]
    if call.json:
        print_json({"stage": kind, "settings": [_document(each) for each in chosen]})
        return
    for each in chosen:
        print(f"{each.key}  {_defaults(each)}")
        print(f"    {each.sentence} {_allowed(each)}")


def _document(each: Setting) -> dict[str, Any]:
    return {
        "key": each.key,
        "type": each.kind,
        "default": each.defaults.get("quick"),
        "defaults": each.defaults,
        "limits": each.limits,
        "choices": each.words,
        "description": each.sentence,
    }


def _defaults(each: Setting) -> str:
    """The value of the presets: one, or that of quick and those that have another."""
    usual = each.default_text("quick")
    others = [
        f"{preset} {each.default_text(preset)}"
        for preset in each.defaults
        if each.default_text(preset) != usual
    ]
    return f"{usual} ({', '.join(others)})" if others else usual


def _allowed(each: Setting) -> str:
    bounds = [f"{word} {plain(limit)}" for word, limit in each.limits.items()]
    return f"[{', '.join([each.kind, *bounds])}]"
