"""What one action of the demo's policies costs: counted once, kept beside this file."""

import json
from pathlib import Path

from db.session import Database
from hdtui.actions.counting import counted_now, keep_counts

FILE = Path(__file__).with_name("costs.json")


def write_costs(database: Database) -> None:
    """Write the kept counts into the demo."""
    for name, rows in json.loads(FILE.read_text(encoding="utf-8")).items():
        keep_counts(database, name, counted_now(rows))
