"""What one action of the demo's policies costs: counted once, kept beside this file.

``python -m hdtui.demo.costs`` counts again; a test says when that is due.
"""

import json
import tempfile
from contextlib import closing
from pathlib import Path

from db.session import Database
from hdtui.actions.counting import counted_now, keep_counts
from hdtui.data.efficiency import TASKS, count_rows, limb_rows, read_efficiency

FILE = Path(__file__).with_name("costs.json")
SEPARATOR = ",\n"


def write_costs(database: Database) -> None:
    """Write the kept counts into the demo."""
    for name, rows in json.loads(FILE.read_text(encoding="utf-8")).items():
        keep_counts(database, name, counted_now(rows))


def count_again() -> None:
    """Count the networks of a fresh demo in child processes and keep the rows."""
    from hdtui.demo.world import build

    with tempfile.TemporaryDirectory() as folder:
        build(Path(folder) / "demo")
        with closing(Database.open(Path(folder) / "demo")) as database:
            facts = read_efficiency(database)
    counts = {task: count_rows(facts, task) for task in TASKS} | {"limbs": limb_rows()}
    lines = [
        f"{json.dumps(name)}: [\n" + SEPARATOR.join(map(json.dumps, rows)) + "\n]"
        for name, rows in counts.items()
    ]
    FILE.write_text("{\n" + SEPARATOR.join(lines) + "\n}\n", encoding="utf-8")


if __name__ == "__main__":
    count_again()
