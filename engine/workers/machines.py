"""On which machine a run is: this one, this one before its last start, or another."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Self

from db.machine import host_name, installation, is_this_machine
from db.queries.supervisors import list_supervisors, silent_s
from db.records import Run, RunState, Supervisor
from db.session import Database

SILENT_AFTER_S = 60.0
"""Four signs of life that did not come."""


def is_here(run: Run) -> bool:
    """The run was queued on this machine, or works on it, since its last start."""
    boot = run.boot_id if run.state.active else run.queued_boot_id
    return is_this_machine(boot, run.host)


@dataclass(frozen=True)
class Machines:
    """What is known of the machines that runs name."""

    supervisors: Mapping[str, Supervisor] = field(default_factory=dict)
    silent_s: Mapping[str, float] = field(default_factory=dict)

    @classmethod
    def of(cls, database: Database, runs: Collection[Run]) -> Self:
        """Read what it takes to place ``runs``; nothing where all of them are here."""
        unsettled = (run for run in runs if run.state.active or run.state is RunState.QUEUED)
        if all(is_here(run) for run in unsettled):
            return cls()
        known = {each.boot_id: each for each in list_supervisors(database)}
        return cls(known, silent_s(database))

    def restarted(self, run: Run) -> bool:
        """The run is this machine's, from before its last start.

        A name may be another machine's too, and what an installation is called may have been
        copied with it: where only one of them agrees, a machine that is heard of is another.
        """
        if is_here(run):
            return False
        boot = (run.boot_id if run.state.active else run.queued_boot_id) or ""
        other = self.supervisors.get(boot)
        same_name = run.host == host_name()
        if other is None:  # a machine at work has a supervisor's row, whatever became of that one
            return same_name
        installed = other.installation
        if not (installed and installation()):
            return same_name and not self._heard(boot)
        if installed != installation():
            return False
        return same_name or not self._heard(boot)

    def elsewhere(self, run: Run) -> bool:
        """The run is another machine's."""
        return not is_here(run) and not self.restarted(run)

    def silence_s(self, run: Run) -> float | None:
        """Seconds since the other machine of a run was heard of; None of this machine's runs.

        Infinite where nobody ever heard of it.
        """
        if not self.elsewhere(run):
            return None
        boot = run.boot_id if run.state.active else run.queued_boot_id
        return self.silent_s.get(boot or "", float("inf"))

    def _heard(self, boot: str) -> bool:
        return self.silent_s.get(boot, float("inf")) < SILENT_AFTER_S
