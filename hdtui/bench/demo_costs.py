"""``python -m hdtui.bench.demo_costs``: count what one action of the demo's policies costs."""

import json
import tempfile
from contextlib import closing
from pathlib import Path

from db.session import Database
from hdtui.data.efficiency import TASKS, count_rows, limb_rows, read_efficiency
from hdtui.demo.costs import FILE
from hdtui.demo.world import build

SEPARATOR = ",\n"


def count_again() -> None:
    """Count the networks of a fresh demo in child processes and keep the rows."""
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
