"""The dialogs behind ``n`` on Robots: generate, mutate, import, select into a set."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING

from engine.errors import InvalidRobotsError, RoleNotAllowedError
from hdtui.actions import robots
from hdtui.actions.robot_imports import refusal_sentences
from hdtui.data.cockpit import Cockpit
from hdtui.screens.dialogs import ConfirmScreen, FieldsScreen, role_question
from hdtui.screens.menu import MenuScreen

if TYPE_CHECKING:
    from hdtui.screens.robots.screen import RobotsScreen

_CHOICES = (
    ("generate", "new robots from a seed"),
    ("mutate", "mutants of a set"),
    ("import", "a folder with xml/ and metadata/"),
    ("select", "the marked into a set"),
)


class NewRobots:
    """Asks what is wanted, then for its fields, then acts."""

    def __init__(self, screen: "RobotsScreen") -> None:
        self._screen = screen

    def choose(self) -> None:
        """Open the menu."""
        if self._screen.may_act():
            self._screen.app.push_screen(MenuScreen("New robots", _CHOICES), self._chosen)

    def _chosen(self, word: str | None) -> None:
        forms = {
            "generate": self._generate,
            "mutate": self._mutate,
            "import": self._import,
            "select": self._select,
        }
        if word in forms:
            forms[word]()

    def _fields(
        self,
        title: str,
        fields: Sequence[tuple[str, str]],
        act: Callable[..., str],
        numbers: Sequence[int] = (),
    ) -> None:
        """Ask for fields; those at ``numbers`` must be whole numbers; then act in a thread."""
        cockpit, names = self._screen.cockpit, [name for name, _ in fields]

        def check(values: Sequence[str]) -> str:
            return robots.number_problem(
                [values[place] for place in numbers], [names[place] for place in numbers]
            )

        def done(values: tuple[str, ...] | None) -> None:
            if values is not None:
                self._screen.command(lambda: act(cockpit, *values))

        self._screen.app.push_screen(FieldsScreen(title, fields, check), done)

    def _generate(self) -> None:
        fields = (
            ("how many robots", "16"),
            ("how many more to keep unseen, in NAME-unseen", "0"),
            ("seed", "1"),
            ("into the set", "generated16"),
        )
        self._fields("Generate robots", fields, robots.generate, (0, 1, 2))

    def _mutate(self) -> None:
        source = self._screen.set_name or ""
        fields = (
            ("mutants of the set", source),
            ("mutants of each robot", "5"),
            ("seed", "1"),
            ("into the set", f"{source}-mutants" if source else "mutants"),
        )
        self._fields("Mutate robots", fields, self._mutated, (1, 2))

    def _mutated(self, cockpit: Cockpit, *values: str) -> str:
        """Mutate a set, or ask whether to where it is not for training."""
        try:
            return robots.mutate(cockpit, *values)
        except RoleNotAllowedError as error:
            self._screen.app.call_later(partial(self._ask_about_role, values, error))
            return ""

    def _ask_about_role(self, values: Sequence[str], error: RoleNotAllowedError) -> None:
        def act(key: str | None) -> None:
            if key == "y":
                allowed = partial(robots.mutate, allowed_roles=[error.role])
                self._screen.command(partial(allowed, self._screen.cockpit, *values))

        self._screen.app.push_screen(role_question(error), act)

    def _import(self) -> None:
        fields = (
            ("folder with xml/ in it, of UNIMAL robots", ""),
            ("into the set (empty: named as the folder)", ""),
        )
        self._fields("Import robots", fields, self._imported)

    def _imported(self, cockpit: Cockpit, folder: str, name: str) -> str:
        """Import a folder, or ask what becomes of its other robots where files are refused."""
        try:
            return robots.import_robots(cockpit, folder, name)
        except InvalidRobotsError as error:
            ask = partial(self._ask_for_the_rest, folder, name, error)
            self._screen.app.call_later(ask)
            return ""

    def _ask_for_the_rest(self, folder: str, name: str, error: InvalidRobotsError) -> None:
        def act(key: str | None) -> None:
            if key == "i":
                rest = partial(robots.import_robots, skip_invalid=True)
                self._screen.command(partial(rest, self._screen.cockpit, folder, name))

        choices = [("i", f"import the other {error.num_valid}")] if error.num_valid else []
        sentences = refusal_sentences(error)
        screen = ConfirmScreen("Refused files", sentences, choices, "import nothing")
        self._screen.app.push_screen(screen, act)

    def _select(self) -> None:
        digests = [digest for digest, _ in self._screen.chosen_robots()]
        if not digests:
            self._screen.say("Nothing is marked. space marks a robot.")
            return

        def act(cockpit: object, name: str) -> str:
            return robots.select(self._screen.cockpit, digests, name)

        self._fields(f"Select {len(digests)} robots", (("into the set", "selected"),), act)
