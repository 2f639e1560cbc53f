"""Work that is asked for and waited for: ``python -m engine.workers.tool NAME`` with JSON on stdin.

The answer is one JSON document on stdout; progress and errors go to stderr. Exit codes are those of
the command line: 0 done, 1 failed, 2 wrong use.
"""

import importlib
import json
import os
import sys
from typing import Any

from engine.errors import HdtuiError, UsageError
from engine.workers.wording import clause

TOOLS = {
    "rollout": "engine.workers.tools.rollout",
    "bench-simulation": "engine.workers.tools.bench_simulation",
    "bench-ppo": "engine.workers.tools.bench_ppo",
    "bench-distillation": "engine.workers.tools.bench_distillation",
    "bench-database": "engine.workers.tools.bench_database",
    "efficiency": "engine.workers.tools.efficiency",
}


def answer(name: str, arguments: dict[str, Any]) -> dict[str, Any]:
    """What tool ``name`` makes of its arguments.

    Raises:
        UsageError: There is no such tool, or an argument is not valid.
    """
    if name not in TOOLS:
        raise UsageError(f"no tool {name!r}; the tools are {', '.join(TOOLS)}")
    module = importlib.import_module(TOOLS[name])
    result: dict[str, Any] = module.run(**arguments)
    return result


def main() -> int:
    """Read the arguments, answer, return the exit code."""
    # A library that prints must not spoil the document: stdout is kept for it alone.
    document = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    try:
        result = answer(sys.argv[1] if len(sys.argv) > 1 else "", json.load(sys.stdin))
    except UsageError as error:
        print(f"hdtui: {clause(str(error))}", file=sys.stderr)  # noqa: T201
        return 2
    except HdtuiError as error:
        print(f"hdtui: {clause(str(error))}", file=sys.stderr)  # noqa: T201
        return 1
    except KeyboardInterrupt:
        return 1
    json.dump(result, document)
    document.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
