"""Robots by what policies know of them: one rule for evaluations, comparisons and claims.

Loads neither torch nor mujoco.
"""

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import Literal

Group = Literal["train", "unseen", "robots"]


@dataclass(frozen=True)
class Knowledge:
    """Digests of the robots that the teachers behind a policy trained on, and of all behind it.

    ``certain`` where even one that knows none of the robots in question says so.
    """

    trained_on: frozenset[str]
    known: frozenset[str]
    certain: bool = False

    @property
    def says(self) -> bool:
        """Whether it says anything: a policy without a past does not."""
        return self.certain or bool(self.known)


def robot_groups(digests: Iterable[str], policies: Collection[Knowledge]) -> dict[Group, list[str]]:
    """Robots that all policies were trained on, those that none knows, and the rest, in order.

    Groups without a robot are left out. Policies that know no robot do not count.
    """
    found: dict[Group, list[str]] = {"train": [], "unseen": [], "robots": []}
    knowing = [each for each in policies if each.says]
    for digest in digests:
        if knowing and all(digest in each.trained_on for each in knowing):
            found["train"].append(digest)
        elif knowing and not any(digest in each.known for each in knowing):
            found["unseen"].append(digest)
        else:
            found["robots"].append(digest)
    return {group: own for group, own in found.items() if own}
