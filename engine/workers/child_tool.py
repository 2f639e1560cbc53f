"""Work that is asked for and waited for: ``engine.workers.child_tool NAME`` with JSON on stdin.

The answer is one JSON document on stdout, for a failure ``{"error": SENTENCE}``; progress goes to
stderr. Exit codes are those of the command line: 0 done, 1 failed, 2 wrong use.
"""

import importlib
import json
import os
import sys
from typing import Any

from engine.errors import HdtuiError, UsageError

TOOLS = {
    "rollout": "engine.workers.tools.rollout",
    "bench-simulation": "engine.workers.tools.bench_simulation",
    "bench-ppo": "engine.workers.tools.bench_ppo",
    "bench-distillation": "engine.workers.tools.bench_distillation",
    "bench-database": "engine.workers.tools.bench_database",
    "efficiency": "engine.workers.tools.efficiency",
    "network-costs": "engine.workers.tools.network_costs",
    "device": "engine.workers.tools.device",
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
    code = 0
    try:
        result = answer(sys.argv[1] if len(sys.argv) > 1 else "", json.load(sys.stdin))
    except HdtuiError as error:
        result, code = {"error": str(error)}, 2 if isinstance(error, UsageError) else 1
    except KeyboardInterrupt:
        return 1
    json.dump(result, document)
    document.close()
    return code


if __name__ == "__main__":
    sys.exit(main())
