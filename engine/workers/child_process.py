"""Every process this program starts: its command, its environment, and its first lines.

``python -m`` would look for modules in the folder it stands in, and PYTHONPATH before the standard
library, so a ``json.py`` in a workspace would run. Python is told to look in neither (``-P``), and
is started with this file, which takes this program's packages from beside itself and what
PYTHONPATH named after the standard library.
"""

import importlib
import os
import sys
from pathlib import Path
from types import ModuleType

NEUTRAL_FOLDER = "/"
"""Where a process stands that needs no folder: nobody else puts files there."""
SEARCH_VARIABLE = "HDTUI_PYTHONPATH"
"""What PYTHONPATH named, where Python itself does not see it."""
PACKAGES = ("engine", "db", "hdtui")
_FILE = Path(__file__).absolute()
_SOURCE = str(_FILE.parents[2])


def child_command(module: str, *words: str) -> list[str]:
    """The command that calls ``main`` of one of this program's modules, of a package as ``-m``."""
    return [sys.executable, "-P", str(_FILE), module, *words]


def child_environment() -> dict[str, str]:
    """This environment without what would let a folder of data be imported."""
    environment = {**os.environ, "PYTHONSAFEPATH": "1"}
    named = [environment.pop("PYTHONPATH", ""), environment.pop(SEARCH_VARIABLE, "")]
    # An empty or relative entry means whatever folder the process stands in.
    paths = [path for path in os.pathsep.join(named).split(os.pathsep) if Path(path).is_absolute()]
    if paths:
        environment[SEARCH_VARIABLE] = os.pathsep.join(dict.fromkeys(paths))
    return environment


def _arrange_search_path() -> None:
    """Standard library, what PYTHONPATH named, site-packages; our packages from beside this file.

    Packages that are imported already are not looked for again, so their folder, which in a
    checkout holds whatever its owner put there, need not stay on the path.
    """
    library = str(Path(os.__file__).parent)
    standard = [
        place
        for place, path in enumerate(sys.path)
        if path == library or Path(path).name == "lib-dynload"
    ]
    end = 1 + max(standard, default=-1)
    named = os.environ.get(SEARCH_VARIABLE, "").split(os.pathsep)
    sys.path[end:end] = [path for path in named if path and path not in sys.path]
    sys.path.insert(0, _SOURCE)
    for package in PACKAGES:
        importlib.import_module(package)
    sys.path.remove(_SOURCE)


def _module(name: str) -> ModuleType:
    module = importlib.import_module(name)
    return importlib.import_module(f"{name}.__main__") if hasattr(module, "__path__") else module


# Children that multiprocessing spawns run this file under the second name before anything else.
if __name__ in ("__main__", "__mp_main__"):
    _arrange_search_path()
if __name__ == "__main__":
    del sys.argv[0]
    try:
        sys.exit(_module(sys.argv[0]).main())
    except KeyboardInterrupt:  # while modules were loaded; whoever started this hears of it as well
        sys.exit(130)
