"""Painting and cells: who covers whom, characters, colours, and what is sent."""

from dataclasses import replace

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from engine.morphology.poses import Poses, PosesHeader
from hdtui.canvas.camera import SIDE, Camera, View
from hdtui.canvas.cells import (
    PLAIN,
    SPACE,
    Frame,
    braille_codes,
    cell_owners,
    half_block_codes,
    limb_ink,
    without_single_cells,
)
from hdtui.canvas.painter import EMPTY, SampleGrid, paint_capsules

owner_grids = arrays(np.int16, (8, 6), elements=st.integers(-1, 3))
ink_grids = arrays(np.int8, (3, 9), elements=st.integers(0, 4))
FRONTAL = View("frontal", 0.0, 0.0)


def two_capsules(near_y: float) -> Poses:
    """An upright capsule at y = 0 and a lying one at ``near_y`` that crosses it."""
    header = PosesHeader("x", "x", "rest", None, "flat", 0, 0, 0.0, 0.0, terminated=False)
    return Poses(
        header,
        position=np.array([[[0, 0, 0.5], [0, near_y, 0.5]]], np.float32),
        axis=np.array([[[0, 0, 1], [1, 0, 0]]], np.float32),
        radius=np.array([0.1, 0.1], np.float32),
        half_length=np.array([0.4, 0.4], np.float32),
        limb=np.array([1, 2]),
        pair=np.array([1, 2]),
        reward=np.zeros(1, np.float32),
        heights=np.zeros(0, np.float32),
    )


def painted(poses: Poses) -> npt.NDArray[np.int16]:
    grid = SampleGrid(40, 40, 1, 1)
    owners = grid.owners()
    paint_capsules(owners, grid, poses, 0, Camera(FRONTAL, 30.0, 40, 38.0))
    return owners


def test_the_nearer_capsule_covers_the_farther_one() -> None:
    crossing = (int(38 - 0.5 * 30), 20)
    assert painted(two_capsules(-1.0))[crossing] == 1
    assert painted(two_capsules(1.0))[crossing] == 0


def test_a_halo_parts_crossing_limbs() -> None:
    owners = painted(two_capsules(-1.0))
    middle = owners[:, 20]
    lying = np.flatnonzero(middle == 1)
    assert middle[lying.min() - 1] == EMPTY
    assert middle[lying.max() + 1] == EMPTY


def test_a_capsule_is_as_thick_and_long_as_its_scale_says() -> None:
    alone = replace(
        two_capsules(0.0),
        position=np.array([[[0, 0, 0.5], [50, 0, 0.5]]], np.float32),
    )
    owners = painted(alone) == 0
    assert owners.any(axis=0).sum() == 6  # 2 x 0.1 m x 30 dots
    assert owners.any(axis=1).sum() == 30  # 2 x (0.4 + 0.1) m x 30 dots


def test_the_head_is_a_ring() -> None:
    head = replace(two_capsules(50.0), half_length=np.zeros(2, np.float32))
    head = replace(head, radius=np.array([0.2, 0.2], np.float32))
    owners = painted(head)
    assert owners[23, 20] == EMPTY
    assert (owners == 0).any()


@given(owner_grids)
def test_a_braille_character_shows_exactly_the_dots_that_are_covered(
    owners: npt.NDArray[np.int16],
) -> None:
    codes = braille_codes(owners)
    places = [(0, 0), (1, 0), (2, 0), (0, 1), (1, 1), (2, 1), (3, 0), (3, 1)]
    for row in range(2):
        for column in range(3):
            code = int(codes[row, column])
            bits = 0 if code == SPACE else code - 0x2800
            for bit, (down, across) in enumerate(places):
                covered = owners[row * 4 + down, column * 2 + across] != EMPTY
                assert bool(bits >> bit & 1) == covered


def test_half_blocks_have_an_upper_and_a_lower_dot() -> None:
    owners = np.array([[0, -1, 1, -1], [-1, 0, 1, -1]], np.int16)
    assert "".join(chr(code) for code in half_block_codes(owners)[0]) == "▀▄█ "


@given(owner_grids)
def test_a_cell_belongs_to_whom_most_of_its_dots_do_and_ties_to_the_nearer(
    owners: npt.NDArray[np.int16],
) -> None:
    preference = np.array([2, 0, 3, 1])
    winners = cell_owners(owners, (4, 2), preference)
    for row in range(2):
        for column in range(3):
            dots = owners[row * 4 : row * 4 + 4, column * 2 : column * 2 + 2].ravel()
            counts = [int((dots == owner).sum()) for owner in preference]
            expected = preference[int(np.argmax(counts))] if max(counts) else EMPTY
            assert winners[row, column] == expected


@given(ink_grids)
def test_merging_single_cells_colours_no_empty_cell_and_invents_no_ink(
    inks: npt.NDArray[np.int8],
) -> None:
    merged = without_single_cells(inks)
    assert ((merged == PLAIN) == (inks == PLAIN)).all()
    for before, after in zip(inks, merged, strict=True):
        assert set(after.tolist()) <= set(before.tolist())


def test_a_single_cell_between_others_takes_its_neighbours_ink() -> None:
    inks = np.array([[3, 3, 4, 3, 3, 0, 5, 0]], np.int8)
    assert without_single_cells(inks).tolist() == [[3, 3, 3, 3, 3, 0, 5, 0]]


def frame_of(codes: npt.NDArray[np.uint32], inks: npt.NDArray[np.int8]) -> Frame:
    return Frame(codes, np.where(codes == SPACE, 0, np.maximum(inks, 1)).astype(np.int8))


code_grids = arrays(np.uint32, (3, 9), elements=st.sampled_from([SPACE, 0x2801, 0x28FF]))


@given(code_grids, ink_grids)
def test_the_runs_of_a_row_are_the_row_and_every_character_keeps_its_ink(
    codes: npt.NDArray[np.uint32], inks: npt.NDArray[np.int8]
) -> None:
    frame = frame_of(codes, inks)
    for row in range(3):
        runs = frame.runs(row)
        assert "".join(text for text, _ in runs) == frame.text(row)
        spread = [ink for text, ink in runs for _ in text]
        for column, letter in enumerate(frame.text(row)):
            assert letter == " " or spread[column] == frame.inks[row, column]


@given(code_grids, ink_grids, code_grids, ink_grids)
def test_sending_the_changed_spans_turns_the_old_picture_into_the_new_one(
    codes: npt.NDArray[np.uint32],
    inks: npt.NDArray[np.int8],
    old_codes: npt.NDArray[np.uint32],
    old_inks: npt.NDArray[np.int8],
) -> None:
    new, old = frame_of(codes, inks), frame_of(old_codes, old_inks)
    shown_codes, shown_inks = old.codes.copy(), old.inks.copy()
    for row, start, end in new.changes(old):
        shown_codes[row, start:end] = new.codes[row, start:end]
        shown_inks[row, start:end] = new.inks[row, start:end]
        assert new.codes[row, start] != old.codes[row, start] or (
            new.inks[row, start] != old.inks[row, start]
        )
    assert (shown_codes == new.codes).all()
    visible = new.codes != SPACE
    assert (shown_inks[visible] == new.inks[visible]).all()


def test_a_picture_that_did_not_change_sends_nothing() -> None:
    frame = frame_of(np.full((3, 9), 0x28FF, np.uint32), np.ones((3, 9), np.int8))
    assert frame.changes(frame) == []
    assert len(frame.changes(None)) == 3


def test_mirrored_limbs_share_a_hue_and_six_hues_go_round() -> None:
    assert limb_ink(1, far=True) == limb_ink(1, far=False) + 1
    assert limb_ink(7, far=False) == limb_ink(1, far=False)
    assert len({limb_ink(pair, far=False) for pair in range(1, 7)}) == 6


@pytest.mark.parametrize("x", [-100.0, 100.0])
def test_a_capsule_outside_the_picture_paints_nothing(x: float) -> None:
    poses = two_capsules(0.0)
    away = replace(poses, position=poses.position + np.array([x, 0, 0], np.float32))
    grid = SampleGrid(40, 40, 1, 1)
    owners = grid.owners()
    paint_capsules(owners, grid, away, 0, Camera(SIDE, 30.0, 40, 38.0))
    assert (owners == EMPTY).all()
