"""``hdtui doctor``: what this machine may do to runs."""

from __future__ import annotations

import typer

from hdtui.cli.options import Call, grouped_options
from hdtui.cli.output import print_json, safe

SIGNS = {"good": "ok  ", "warn": "warn", "bad": "BAD "}


@grouped_options()
def doctor_command(call: Call) -> None:
    """Check this machine for what breaks long runs; exit code 1 where something is bad."""
    from hdtui.data.doctor import examine

    findings = examine(call.folder)
    if call.json:
        print_json({"findings": findings})
    else:
        for finding in findings:
            print(safe(f"{SIGNS[finding.verdict]} {finding.name:<12} {finding.text}"))
    if any(finding.verdict == "bad" for finding in findings):
        raise typer.Exit(1)
