"""``hdtui --version``: which program this is, and what it stands on."""

from importlib.metadata import version

from engine.workers.provenance import provenance, source_revision
from hdtui.cli.output import print_json

_LIBRARIES = ("textual", "sqlalchemy", "pydantic", "typer")
"""What the cockpit stands on, besides what runs compute with."""


def print_version(json: bool) -> None:
    """The version, its commit in a checkout, Python; as a document the libraries too."""
    facts = provenance()
    number, revision = facts.pop("hdtui"), source_revision()
    if json:
        own = {name: facts.pop(name) for name in ("python", "system", "cores")}
        libraries = facts | {name: version(name) for name in _LIBRARIES}
        print_json({"hdtui": number, "revision": revision, **own, "libraries": libraries})
        return
    words = f"hdtui {number}" + (f" ({revision})" if revision else "")
    print(f"{words}, Python {facts['python']}")
