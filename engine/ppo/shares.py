"""Which robots each process owns, and which of them take their turn."""

from collections.abc import Sequence


def split_robots(limb_counts: Sequence[int], processes: int) -> tuple[tuple[int, ...], ...]:
    """Robot indices of each process: numbers differ by one at most, limbs are spread evenly.

    Robots are dealt by size, back and forth, so that every process computes about as much.
    """
    order = sorted(range(len(limb_counts)), key=lambda robot: (-limb_counts[robot], robot))
    shares: list[list[int]] = [[] for _ in range(processes)]
    for position, robot in enumerate(order):
        turn, seat = divmod(position, processes)
        shares[seat if turn % 2 == 0 else processes - 1 - seat].append(robot)
    return tuple(tuple(sorted(share)) for share in shares)


def robots_on_turn(share: Sequence[int], seats: int, turn: int) -> tuple[int, ...]:
    """The robots of a share that are simulated on a turn; over turns all come equally often."""
    if seats >= len(share):
        return tuple(share)
    first = turn * seats
    return tuple(share[(first + seat) % len(share)] for seat in range(seats))
