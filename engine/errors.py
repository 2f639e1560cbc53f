"""Errors a user can cause: what was found, what was expected and what to do."""

from collections.abc import Sequence
from typing import Any


class HdtuiError(Exception):
    """Root of every error whose message is written for the user (shown without a traceback)."""


class UsageError(HdtuiError):
    """A command, key or name that cannot be used: exit code 2, nothing was created."""


class RoleNotAllowedError(UsageError):
    """A robot set that is not for training was named to learn from; ``role`` would allow it."""

    def __init__(self, sentence: str, role: str) -> None:
        super().__init__(sentence)
        self.role = role


class ConfigError(UsageError):
    """A configuration file, key or value that is not valid."""


class RobotError(HdtuiError):
    """A robot file or morphology that is not valid; names the robot or file and the reason."""


class InvalidRobotsError(RobotError):
    """Files of a folder are no valid robots: all of them, with reasons, are in ``refused``."""

    def __init__(self, message: str, refused: Sequence[Any], num_valid: int) -> None:
        super().__init__(message)
        self.refused = tuple(refused)
        self.num_valid = num_valid


class UnknownRobotSetError(UsageError):
    """A robot set that neither the library nor the built-in names know."""


class SimulationError(HdtuiError):
    """A model that does not compile or a simulation that cannot go on."""


class DivergenceError(HdtuiError):
    """Training produced NaN or diverged; the last good checkpoint is kept."""


class CheckpointError(HdtuiError):
    """A checkpoint that is missing, damaged or made for something else."""


class DatasetError(HdtuiError):
    """Expert data that is missing, damaged, or from another teacher or layout."""


class DeploymentError(HdtuiError):
    """A deployed policy file that cannot be written, read or matched to its robot."""


class WorkspaceError(UsageError):
    """A workspace that cannot be created, read or written."""


class DatabaseError(HdtuiError):
    """A database that is locked for too long, corrupt or of another version."""


class NewerDatabaseError(DatabaseError):
    """A database of a later version of this program."""


class DatabaseAwayError(DatabaseError):
    """A database that does not answer now and may later: locked, moved, restarting, disk full."""


class RunError(HdtuiError):
    """A run that does not exist or is in the wrong state for what was asked."""


class StaleAttemptError(HdtuiError):
    """A write by an attempt that no longer owns its run; the worker must leave."""


class WorkspaceMovedError(WorkspaceError):
    """A workspace that is no longer where it was when work in it began."""


class StopRequestedError(HdtuiError):
    """Raised inside a stage after it has saved its checkpoint because a stop was asked for."""
