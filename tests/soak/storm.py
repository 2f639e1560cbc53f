"""A storm of kills over real pipelines: nothing may be lost, and nobody may be able to tell.

``python tests/soak/storm.py --kills 100 --pipelines 8``. First one pipeline of each seed runs in
peace. Then as many as are asked for run at once, while workers, whole families of them, their
children, supervisors, tools and cockpits are killed with -9 at random. People do nothing but
resume what was lost. In the end every pipeline must have come to what the calm one of its seed
came to: files, returns, episodes and curves. Prints one JSON document; exit code 1 otherwise.
"""

import argparse
import json
import os
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from invariants import violations
from machines import in_private_memory
from results import differences, results_of_pipeline
from workplace import KINDS, Workplace

PAUSE_S = (0.5, 4.0)
SEEDS = (11, 12)


def storm(home: Path, *, kills: int, pipelines: int, seed: int = 1) -> dict[str, Any]:
    """The figures of a storm; ``violations`` among them is empty where everything held."""
    place = Workplace(home, seed)
    seeds = SEEDS[: max(1, pipelines // 4)]
    began = time.monotonic()
    calm = {each: place.launch(each) for each in seeds}
    place.finish()
    calm_s = time.monotonic() - began
    disturbed: list[tuple[int, int]] = []

    def launch() -> None:
        which = seeds[len(disturbed) % len(seeds)]
        disturbed.append((place.launch(which), which))

    for _ in range(pipelines):
        launch()
    while sum(place.killed.values()) < kills:
        place.wait(place.chance.uniform(*PAUSE_S))
        place.use_tool()
        if not place.cockpits:
            place.open_cockpit()
        if not place.kill(place.chance.choice(KINDS)):
            place.kill("worker")
        if place.all_finished():
            launch()
        elif place.chance.random() < 0.5:
            place.resume_all()
    place.finish()

    expected = {each: results_of_pipeline(place.database, calm[each]) for each in seeds}
    broken = violations(place.database, place.workspace, place.most_active, place.slots)
    for number, which in disturbed:
        found = results_of_pipeline(place.database, number)
        broken += [f"pipeline {number}: {each}" for each in differences(expected[which], found)]
    figures, left = place.figures(), place.leave()
    broken += place.mistakes
    broken += [f"left behind: {name}" for names in left.values() for name in names]
    return {
        "pipelines": len(disturbed),
        "seconds": round(time.monotonic() - began),
        "calm_seconds": round(calm_s),
        "kills": sum(place.killed.values()),
        **figures,
        "left_behind": {what: len(names) for what, names in left.items()},
        "violations": broken,
    }


def main() -> int:
    """Print the figures; the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--pipelines", type=int, default=8)
    parser.add_argument("--seed", type=int, default=1)
    chosen = parser.parse_args()
    in_private_memory()
    os.environ.pop("HDTUI_DATABASE_URL", None)
    with tempfile.TemporaryDirectory(prefix="hdtui-storm-") as folder:
        home = Path(folder, "workspace")
        figures = storm(home, kills=chosen.kills, pipelines=chosen.pipelines, seed=chosen.seed)
    sys.stdout.write(json.dumps(figures, indent=1) + "\n")
    return 1 if figures["violations"] else 0


if __name__ == "__main__":
    sys.exit(main())
