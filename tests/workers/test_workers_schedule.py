"""The scheduler's decisions, over random lives of random pipelines."""

from hypothesis import given, settings
from hypothesis import strategies as st

from db.records import RunState
from engine.workers.schedule import Candidate, plan
from engine.workers.states import NEXT, sources

QUEUED, FINISHED, STOPPED = RunState.QUEUED, RunState.FINISHED, RunState.STOPPED


def test_every_end_can_be_queued_again_and_led_to_nothing_else() -> None:
    again = [state for state in RunState if state.ended]
    assert all(NEXT[state] == {QUEUED} for state in again)
    assert sources(QUEUED) == set(again)


def test_only_a_queued_run_starts_and_no_state_follows_itself() -> None:
    assert sources(RunState.STARTING) == {QUEUED}
    assert all(state not in NEXT[state] for state in RunState)
    assert set(NEXT) == set(RunState)


def test_the_oldest_ready_runs_start_first() -> None:
    queued = [Candidate(3, ()), Candidate(1, (9,)), Candidate(2, ()), Candidate(4, (), held=True)]
    assert plan(queued, {9: RunState.RUNNING}, 1, 2).start == (2,)
    assert plan(queued, {9: FINISHED}, 0, 9).start == (1, 2, 3)


def test_what_waits_for_a_broken_input_is_blocked_to_the_end_of_the_line() -> None:
    queued = [Candidate(2, (1,)), Candidate(3, (2,)), Candidate(4, (3, 5)), Candidate(6, (5,))]
    states = {1: RunState.LOST, 2: QUEUED, 3: QUEUED, 5: FINISHED}
    decided = plan(queued, states, 0, 9)
    assert decided.blocked == {2: 1, 3: 2, 4: 3}
    assert decided.start == (6,)


def test_an_input_that_is_gone_blocks() -> None:
    assert plan([Candidate(2, (1,))], {}, 0, 1).blocked == {2: 1}


actions = st.lists(
    st.tuples(
        st.sampled_from(["submit", "tick", "finish", "break", "retry"]), st.integers(0, 10**6)
    ),
    max_size=60,
)


@settings(max_examples=200, deadline=None)
@given(slots=st.integers(1, 4), actions=actions)
def test_slots_and_order_hold_whatever_happens(slots: int, actions: list[tuple[str, int]]) -> None:
    states: dict[int, RunState] = {}
    inputs: dict[int, tuple[int, ...]] = {}
    blocked: set[int] = set()
    for action, number in actions:
        running = [run for run, state in states.items() if state is RunState.RUNNING]
        broken = [r for r, state in states.items() if state.ended and state is not FINISHED]
        if action == "submit":
            inputs[len(states)] = tuple(r for r in states if number >> r & 1)[:3]
            states[len(states)] = QUEUED
        elif action in ("finish", "break") and running:
            chosen = running[number % len(running)]
            states[chosen] = FINISHED if action == "finish" else RunState.FAILED
        elif action == "retry" and broken:
            states[broken[number % len(broken)]] = QUEUED
        queued = [Candidate(r, inputs[r]) for r, state in states.items() if state is QUEUED]
        if action != "tick":
            continue
        decided = plan(queued, states, len(running), slots)
        assert len(running) + len(decided.start) <= slots
        assert all(states[i] is FINISHED for run in decided.start for i in inputs[run])
        for run in decided.start:
            states[run] = RunState.RUNNING
        for run in decided.blocked:
            states[run] = STOPPED
            blocked.add(run)
        waiting = [run for run, state in states.items() if state is QUEUED]
        for run in waiting:
            # Nothing waits for ever: a slot or an input that may still finish is missing.
            alive = [states[i] for i in inputs[run] if states[i] is not FINISHED]
            assert all(not state.ended for state in alive)
            assert alive or len(running) + len(decided.start) == slots
