"""``hdtui doctor``: what this machine may do to runs."""

import typer

from hdtui.cli.options import Home, Json, NoSeed, home_folder
from hdtui.cli.output import print_json, safe

SIGNS = {"good": "ok  ", "warn": "warn", "bad": "BAD "}


def doctor_command(home: Home = None, json: Json = False, seed: NoSeed = None) -> None:
    """Check this machine for what breaks long runs; exit code 1 where something is bad."""
    from hdtui.data.doctor import examine

    findings = examine(home_folder(home))
    if json:
        print_json({"findings": findings})
    else:
        for finding in findings:
            print(safe(f"{SIGNS[finding.verdict]} {finding.name:<12} {finding.text}"))
    if any(finding.verdict == "bad" for finding in findings):
        raise typer.Exit(1)
