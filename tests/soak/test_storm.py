"""A short storm of kills; ``make storm`` is the long one."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

STORM = Path(__file__).with_name("storm.py")


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_pipelines_in_a_storm_of_kills_end_where_a_calm_one_ends() -> None:
    command = [sys.executable, str(STORM), "--kills", "10", "--pipelines", "2"]
    answer = subprocess.run(command, capture_output=True, text=True, check=False)
    assert answer.returncode in (0, 1), answer.stderr
    figures = json.loads(answer.stdout)
    assert figures["violations"] == []
    assert figures["kills"] == 10
