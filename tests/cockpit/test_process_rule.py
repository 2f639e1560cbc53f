import subprocess
import sys

HEAVY = "torch mujoco mjbatch gymnasium onnx"
LATE = "sqlalchemy numpy plotext textual_plotext alembic"


def modules_after(code: str) -> set[str]:
    script = f"{code}\nimport sys\nprint(' '.join(sorted(sys.modules)))"
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    return set(done.stdout.splitlines()[-1].split())


def test_the_first_paint_waits_for_no_database_and_no_numpy() -> None:
    loaded = modules_after("import hdtui.app")
    assert not loaded & set(LATE.split())
    assert not loaded & set(HEAVY.split())


def test_the_cockpit_never_loads_torch_or_mujoco() -> None:
    code = (
        "import importlib, pkgutil, hdtui\n"
        "names = [m.name for m in pkgutil.walk_packages(hdtui.__path__, 'hdtui.')]\n"
        "[importlib.import_module(n) for n in names if not n.endswith('__main__')]"
    )
    assert not modules_after(code) & set(HEAVY.split())


def test_a_command_loads_neither_screens_nor_database_before_it_needs_them() -> None:
    loaded = modules_after("import hdtui.cli.main")
    assert not loaded & {"textual", "sqlalchemy", "plotext", *HEAVY.split()}
