"""Studies: those that were begun with what they say so far, and those that can be begun."""

from collections.abc import Sequence
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType

from engine.config.study import built_in_studies, load_study
from hdtui.data.cockpit import Cockpit
from hdtui.data.study_views import StudyView, UnreadableStudy
from hdtui.formatting import printable
from hdtui.messages import OpenStudy
from hdtui.screens.shell import CockpitScreen
from hdtui.screens.studies import rows
from hdtui.screens.studies.actions import STUDY_KEYS, StudyActions
from hdtui.screens.studies.new import NewStudyScreen
from hdtui.widgets.lines import Line, Lines, Span, muted, wrapped
from hdtui.widgets.pane import Pane
from hdtui.widgets.table import Table, TableRow

_FEWEST_ROWS, _MOST_ROWS = 6, 14
Views = Sequence[StudyView | UnreadableStudy]


class StudiesScreen(CockpitScreen):
    """Questions as graphs of runs: begun ones above those that come with hdtui."""

    TAB = 6
    TITLE_WORD = "Studies"
    READ_EVERY_S = 5.0
    HELP_NOTES = (
        "A study is a question: settings times seeds, run as a graph in which what cells share\n"
        "is made once. Its answer is a verdict only at equal cost and with seeds enough;\n"
        "open says how many more seeds would decide.",
    )
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "choose", "open", tooltip="open a begun study, or the form of another"),
        Binding("n", "new_study", "begin", tooltip="begin a study: a form with plan and estimate"),
        *STUDY_KEYS,
    ]

    def __init__(self, cockpit: Cockpit) -> None:
        super().__init__(cockpit)
        self.views: dict[str, StudyView | UnreadableStudy] = {}
        self.questions: dict[str, str] = {}
        self.wanted = ""
        self.table = Table(rows.LIST_COLUMNS, widget_id="studies")
        self.about = Lines()
        self.actions = StudyActions(self, self.current_view)

    def compose_body(self) -> ComposeResult:
        yield Pane("Studies", self.table, facts="reading", widget_id="studies-pane")
        yield Pane("", self.about, widget_id="study-about-pane")

    def on_mount(self) -> None:
        self.set_focus(self.table)

    def footer(self) -> str:
        return "enter n R X E W y" if self.current_view() else "enter n"

    def key_text(self, binding: Binding) -> str:
        if binding.action == "choose" and self._key()[0] == "built-in":
            return "begin it"
        return binding.description

    def read(self) -> None:
        nothing: Views = ()
        self.ask(self.cockpit.studies_reader.read_all, self._take_studies, empty=nothing)

    def _take_studies(self, views: Views) -> None:
        self.views = {
            view.name if isinstance(view, UnreadableStudy) else view.study.name: view
            for view in views
        }
        if not self.questions:
            self.questions = {name: load_study(name).question for name in built_in_studies()}
        self.actions.count([view for view in views if isinstance(view, StudyView)])
        self.show_studies()

    def show_studies(self) -> None:
        """Draw what was read last."""
        views, questions = self.views, self.questions
        keys = [
            *(("begun", name) for name in views),
            *(("built-in", name) for name in questions if name not in views),
        ]

        def row_of(index: int) -> TableRow:
            kind, name = keys[index]
            if kind == "begun":
                return rows.list_row(views[name])
            return rows.declared_row(name, questions[name])

        columns = rows.list_columns([name for _, name in keys])
        self.table.set_rows(keys, row_of, columns=columns)
        if self.wanted and self.table.move_to(("begun", self.wanted)):
            self.wanted = ""
        begun = f"{len(views)} {'study' if len(views) == 1 else 'studies'} begun"
        rest = sum(name not in views for name in questions)
        self.query_one("#studies-pane", Pane).set_rule(
            "Studies", f"{begun} · {rest} more to begin" if views else f"{rest} to begin"
        )
        self._show_about()

    def _key(self) -> tuple[str, str]:
        key = self.table.cursor_key
        return key if isinstance(key, tuple) else ("", "")

    def current_view(self) -> StudyView | None:
        """The study under the cursor, where it was begun and can be read."""
        view = self.views.get(self._key()[1])
        return view if isinstance(view, StudyView) else None

    @property
    def _about_rows(self) -> int:
        """What the list leaves, within limits."""
        spare = self.size.height - 3 - len(self.table.keys) - 3
        return max(_FEWEST_ROWS, min(_MOST_ROWS, spare))

    def _show_about(self) -> None:
        kind, name = self._key()
        pane = self.query_one("#study-about-pane", Pane)
        pane.styles.height = self._about_rows + 1
        pane.set_rule(name, "")
        width = self.size.width
        lines: list[Line] = []
        view = self.views.get(name)
        if isinstance(view, UnreadableStudy):
            lines = [
                (Span(f" {row}", "bad"),) for row in wrapped(printable(view.sentence), width - 2)
            ]
        elif view is not None:
            pane.set_rule(name, rows.states_words(view))
            lines = _words(view.study.question, width)
            left = self._about_rows - len(lines)
            lines += rows.answer_lines(view, width, max(1, left), "enter shows the rest")
        elif kind:
            lines = _words(self.questions[name], width)
            lines += [(), (muted(f" Same as hdtui study run {name}; enter opens the form."),)]
        self.about.show(lines)
        self.show_keys()

    def on_resize(self) -> None:
        if self.questions:
            self._show_about()

    def on_table_moved(self, message: Table.Moved) -> None:
        self._show_about()

    def on_table_chosen(self, message: Table.Chosen) -> None:
        kind, name = self._key()
        if kind == "built-in":
            self.open_form(name)
        elif self.current_view() is not None:
            self.app.post_message(OpenStudy(name))
        else:
            self.say(printable(getattr(self.views.get(name), "sentence", "")), "warn")

    def action_study(self, name: str) -> None:
        self.actions.act(name)

    def action_new_study(self) -> None:
        """The form, with the study under the cursor."""
        name = self._key()[1]
        view = self.current_view()
        self.open_form(name if view is None or name in built_in_studies() else "")

    def open_form(self, name: str) -> None:
        """The form of a study that comes with hdtui; of any where there is no name."""
        self.app.push_screen(NewStudyScreen(self.cockpit, name, self._go_to))

    def _go_to(self, name: str) -> None:
        """Put the cursor on a study that was just begun, once it is read."""
        self.wanted = name


def _words(text: str, width: int) -> list[Line]:
    return [(Span(f" {row}"),) for row in wrapped(printable(text), max(10, width - 2))]
