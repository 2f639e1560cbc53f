"""The dialogs behind ``n`` on Robots: generate, mutate, import, select into a set."""

from collections.abc import Callable, Sequence
from functools import partial

from engine.errors import HdtuiError, InvalidRobotsError, RoleNotAllowedError
from engine.text import counted
from hdtui.actions import robots
from hdtui.actions.robot_imports import refusal_sentences
from hdtui.screens.dialogs import ConfirmScreen, FieldsScreen, role_question
from hdtui.screens.menu import MenuScreen
from hdtui.screens.shell import CockpitScreen

_CHOICES = (
    ("generate", "new robots from a seed"),
    ("mutate", "mutants of a set"),
    ("import", "a folder with xml/ and metadata/"),
    ("select", "the marked into a set"),
)


class NewRobots:
    """Asks what is wanted, then for its fields, then acts; ``digests`` are the chosen robots."""

    def __init__(self, screen: CockpitScreen, set_name: str, digests: Sequence[str]) -> None:
        self._screen = screen
        self._set_name = set_name
        self._digests = digests

    def choose(self) -> None:
        """Open the menu."""
        if self._screen.may_act():
            self._screen.open_dialog(MenuScreen("New robots", _CHOICES), self._ask)

    def _ask(self, word: str | None) -> None:
        forms = {
            "generate": self._ask_generation,
            "mutate": self._ask_mutation,
            "import": self._ask_folder,
            "select": self._ask_set_name,
        }
        if word in forms:
            forms[word]()

    def _fields(
        self,
        title: str,
        fields: Sequence[tuple[str, str]],
        act: Callable[..., None],
        numbers: Sequence[int] = (),
    ) -> None:
        """Ask for fields; those at ``numbers`` must be whole numbers; then act."""
        names = [name for name, _ in fields]

        def check(values: Sequence[str]) -> str:
            return robots.number_problem(
                [values[place] for place in numbers], [names[place] for place in numbers]
            )

        def done(values: tuple[str, ...] | None) -> None:
            if values is not None:
                act(*values)

        self._screen.app.push_screen(FieldsScreen(title, fields, check), done)

    def _ask_generation(self) -> None:
        fields = (
            ("how many robots", "16"),
            ("how many more to keep unseen, in NAME-unseen", "0"),
            ("seed", "1"),
            ("into the set", "generated16"),
        )
        self._fields("Generate robots", fields, self._generate, (0, 1, 2))

    def _generate(self, count: str, unseen: str, seed: str, name: str) -> None:
        self._screen.command(
            partial(robots.generate, count=count, unseen=unseen, seed=seed, set_name=name)
        )

    def _ask_mutation(self) -> None:
        source = self._set_name
        fields = (
            ("mutants of the set", source),
            ("mutants of each robot", "5"),
            ("seed", "1"),
            ("into the set", f"{source}-mutants" if source else "mutants"),
        )
        self._fields("Mutate robots", fields, self._mutate, (1, 2))

    def _mutate(self, source: str, per_robot: str, seed: str, name: str) -> None:
        """Mutate a set, or ask whether to where it is not for training."""
        mutate = partial(
            robots.mutate, source=source, per_robot=per_robot, seed=seed, set_name=name
        )

        def ask(error: HdtuiError) -> bool:
            if not isinstance(error, RoleNotAllowedError):
                return False

            def act(key: str | None) -> None:
                if key == "y":
                    self._screen.command(partial(mutate, allowed_roles=[error.role]))

            self._screen.app.push_screen(role_question(error), act)
            return True

        self._screen.command(mutate, refused=ask)

    def _ask_folder(self) -> None:
        fields = (
            ("folder with xml/ in it, of UNIMAL robots", ""),
            ("into the set (empty: named as the folder)", ""),
        )
        self._fields("Import robots", fields, self._import)

    def _import(self, folder: str, name: str) -> None:
        """Import a folder, or ask what becomes of its other robots where files are refused."""
        read = partial(robots.import_robots, self._screen.cockpit.store, folder, name)

        def ask(error: HdtuiError) -> bool:
            if not isinstance(error, InvalidRobotsError):
                return False

            def act(key: str | None) -> None:
                if key == "i":
                    self._screen.work(partial(read, skip_invalid=True))

            rest = [("i", f"import the other {error.num_valid}")] if error.num_valid else []
            sentences = refusal_sentences(error)
            dialog = ConfirmScreen("Refused files", sentences, rest, "import nothing")
            self._screen.app.push_screen(dialog, act)
            return True

        self._screen.work(read, refused=ask)

    def _ask_set_name(self) -> None:
        if not self._digests:
            self._screen.say("Nothing is marked. space marks a robot.")
            return
        title = f"Select {counted(len(self._digests), 'robot')}"
        self._fields(title, (("into the set", "selected"),), self._select)

    def _select(self, name: str) -> None:
        self._screen.command(partial(robots.select, robots=self._digests, set_name=name))
