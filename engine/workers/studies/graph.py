"""A study as a graph of runs: what is to be done, each thing once, before anybody does it.

Pure: it knows recipes, not numbers of runs. Cells that have something in common (robots, teacher,
expert data) name the same recipe, so it is made once.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from db.records import RunKind
from engine.config.base import Config
from engine.config.presets import PipelineConfig
from engine.config.study import Combination, StudyConfig
from engine.errors import UsageError
from engine.workers.robot_library import TRAINING, UNSEEN
from engine.workers.stages import MUTANTS
from engine.workers.studies.recipes import recipe, set_made_by

_SINGLE = "single_mlp"


@dataclass(frozen=True)
class RobotsOf:
    """Robots that a run acts on: a set that is there, or that of a role which a recipe makes."""

    identity: str
    set_name: str = ""
    maker: str = ""
    role: str = ""


@dataclass(frozen=True)
class Node:
    """A run to be: its settings and what it reads, by recipes.

    ``reads`` are its inputs; ``robots`` whose maker is to be waited for are not among them.
    ``place`` says what it is to the first cell that needs it: a study finds its runs by that, also
    once settings have other defaults and recipes are others.
    """

    recipe: str
    place: str
    kind: RunKind
    config: Config
    reads: tuple[str, ...] = ()
    robots: tuple[RobotsOf, ...] = ()
    fills: tuple[str, ...] = ()


@dataclass(frozen=True)
class Cell:
    """A combination of levels with a seed, and the recipes of what answers for it.

    ``judged`` is the policy, ``evaluation`` judges it; ``teacher`` taught it (or is it),
    ``beside`` judges that one. ``collection`` is empty where nothing was distilled. All are where
    networks are counted as they are made.
    """

    combination: Combination
    seed: int
    teacher: str = ""
    judged: str = ""
    evaluation: str = ""
    beside: str = ""
    collection: str = ""

    @property
    def recipes(self) -> tuple[str, ...]:
        """All that is the cell's own or shared with others, without robots."""
        every = (self.teacher, self.collection, self.judged, self.evaluation, self.beside)
        return tuple(dict.fromkeys(each for each in every if each))


@dataclass
class Graph:
    """All runs of a study, each after what it reads, and its cells."""

    nodes: dict[str, Node] = field(default_factory=dict)
    cells: list[Cell] = field(default_factory=list)

    def add(self, node: Node) -> str:
        """The recipe of a node, which is in the graph from now on."""
        return self.nodes.setdefault(node.recipe, node).recipe

    def names(self, study: str) -> dict[str, str]:
        """What each run is called: the levels that tell it from others, and its seed."""
        users: dict[str, list[Cell]] = {}
        for cell in self.cells:
            for each in self.behind(cell):
                users.setdefault(each, []).append(cell)
        every: dict[str, set[str]] = {}
        for cell in self.cells:
            for factor, level in cell.combination.levels:
                every.setdefault(factor, set()).add(level)
        return {each: _name(cells, every, study) for each, cells in users.items()}

    def behind(self, cell: Cell) -> list[str]:
        """The recipes of all that a cell rests on, its own among them."""
        found: dict[str, None] = {}
        pending = list(cell.recipes)
        while pending:
            own = pending.pop()
            if own not in found:
                found[own] = None
                node = self.nodes[own]
                pending += [*node.reads, *(each.maker for each in node.robots if each.maker)]
        return list(found)


def expand(study: StudyConfig, known_sets: Mapping[str, str]) -> Graph:
    """Every run of a study.

    ``known_sets`` are the robot sets that it names, as recipes know them.

    Raises:
        UsageError: A combination judges policies on robots that they cannot act on.
    """
    graph = Graph()
    wants_ratio = any(measure.name == "ratio" for measure in study.measured())
    for combination in study.combinations():
        for seed in study.seeds:
            if not study.trained:
                graph.cells.append(Cell(combination, seed))
                continue
            config = study.pipeline(combination, seed)
            expansion = _Expansion(graph, study, known_sets, config, combination, seed)
            graph.cells.append(expansion.cell(wants_ratio))
    return graph


@dataclass
class _Expansion:
    """One cell on its way into the graph."""

    graph: Graph
    study: StudyConfig
    known_sets: Mapping[str, str]
    config: PipelineConfig
    combination: Combination
    seed: int

    def cell(self, wants_ratio: bool) -> Cell:
        combination, seed = self.combination, self.seed
        training, unseen = self._robots()
        single = self.config.teacher.network.kind == _SINGLE
        teacher = self._node(RunKind.TEACHER, self.config.teacher, robots=[training])
        known = [training] if single else [training, *unseen]
        if combination.route == "teach":
            evaluation = self._node(
                RunKind.EVALUATION, self.config.evaluation, reads=[teacher], robots=known
            )
            return Cell(combination, seed, teacher, teacher, evaluation, evaluation)
        taught_on = [training]
        if self.config.mutation.mutants_per_robot:
            maker = self._node(
                RunKind.MUTATION, self.config.mutation, robots=[training], fills=(MUTANTS,)
            )
            taught_on.append(_made(maker, MUTANTS))
        collection = self._node(
            RunKind.COLLECTION, self.config.collection, reads=[teacher], robots=taught_on
        )
        student = self._node(RunKind.STUDENT, self.config.student, reads=[collection])
        evaluation = self._node(
            RunKind.EVALUATION,
            self.config.evaluation,
            reads=[student],
            robots=[training, *unseen],
        )
        beside = ""
        if wants_ratio:
            beside = self._node(
                RunKind.EVALUATION,
                self.config.evaluation,
                reads=[teacher],
                robots=known,
                beside=True,
            )
        return Cell(combination, seed, teacher, student, evaluation, beside, collection)

    def _robots(self) -> tuple[RobotsOf, list[RobotsOf]]:
        """The robots to train on and, where there are any, those that nobody trains on."""
        names = self.study.robots
        if names.folds:
            fold = self.study.seeds.index(self.seed) % names.folds
            return (
                self._known(fold_name(names.training, names.folds, fold, TRAINING)),
                [self._known(fold_name(names.training, names.folds, fold, UNSEEN))],
            )
        if names.training:
            unseen = [self._known(names.unseen)] if names.unseen else []
            return self._known(names.training), unseen
        generation = self.config.generation
        fills = (TRAINING, *([UNSEEN] if generation.unseen_count else []))
        maker = self._node(RunKind.GENERATION, generation, fills=fills)
        made = [_made(maker, role) for role in fills]
        return made[0], made[1:]

    def _known(self, name: str) -> RobotsOf:
        if name not in self.known_sets:
            raise UsageError(f"study {self.study.name}: there is no robot set {name}")
        return RobotsOf(self.known_sets[name], set_name=name)

    def _node(
        self,
        kind: RunKind,
        config: Config,
        *,
        reads: Sequence[str] = (),
        robots: Sequence[RobotsOf] = (),
        fills: tuple[str, ...] = (),
        beside: bool = False,
    ) -> str:
        identities = [each.identity for each in robots]
        own = recipe(kind, config, reads=reads, robots=identities, also=fills)
        what = f"{kind}{' of the teacher' if beside else ''}"
        place = f"{self.combination.label} s{self.seed}: {what}"
        return self.graph.add(Node(own, place, kind, config, tuple(reads), tuple(robots), fills))


def _made(maker: str, role: str) -> RobotsOf:
    return RobotsOf(set_made_by(maker, role), maker=maker, role=role)


def fold_name(training: str, folds: int, fold: int, role: str) -> str:
    """What one side of a fold of a set is called: part ``fold`` is held out of training."""
    return f"{training}-fold{fold + 1}of{folds}{'-unseen' if role == UNSEEN else ''}"


def _name(cells: list[Cell], every: Mapping[str, set[str]], study: str) -> str:
    """Levels that all cells of a run share and others have not, then the seed."""
    words = []
    for factor, levels in every.items():
        own = {dict(cell.combination.levels)[factor] for cell in cells}
        if len(own) == 1 and len(levels) > 1:
            words.append(f"{factor}={own.pop()}")
    return " ".join([*(words or [study]), f"s{cells[0].seed}"])
