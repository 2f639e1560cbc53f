import numpy as np

from engine.environments.viability import viable
from engine.morphology.mjcf import load_robots
from engine.morphology.tree import Morphology


def broken(robot: Morphology) -> Morphology:
    limbs = list(robot.limbs)
    limbs[1] = type(limbs[1])(**{**vars(limbs[1]), "radius_m": -1.0})
    return Morphology("broken", tuple(limbs), ())


def motionless_and_tall(robot: Morphology) -> Morphology:
    """A head high above one thin limb: it falls, and nothing it does helps."""
    head = type(robot.limbs[0])(**{**vars(robot.limbs[0]), "position_m": (0.0, 0.0, 3.0)})
    limb = type(robot.limbs[1])(**{**vars(robot.limbs[1]), "joints": (None, None)})
    return Morphology("pole", (head, limb), ())


def test_a_crawler_is_viable_and_bodies_that_break_or_drop_are_not(biped, crawler):
    robots = [broken(crawler), crawler, motionless_and_tall(biped)]

    assert viable(robots, seed=0).tolist() == [False, True, False]


def test_a_verdict_depends_on_the_robot_alone(biped, crawler):
    together = viable([biped, crawler], seed=4)
    apart = np.concatenate([viable([biped], seed=4), viable([crawler], seed=4)])

    assert np.array_equal(together, apart)


def test_no_robots_give_no_verdicts():
    assert viable([], seed=0).shape == (0,)


def test_most_real_robots_are_viable(unimal_dir):
    assert viable(load_robots(unimal_dir)[::4], seed=0).mean() >= 0.8
