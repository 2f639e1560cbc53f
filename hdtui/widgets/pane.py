"""Titled rules and the panes below them: title left, facts right, heavy where the focus is."""

from textual.app import ComposeResult
from textual.containers import Vertical
from textual.events import DescendantBlur, DescendantFocus
from textual.widget import Widget

from hdtui.widgets.lines import ELLIPSIS, Line, Lines, Span, fit, line_width


def rule_line(title: str, facts: str, width: int, focused: bool, joint: str = "") -> Line:
    """``─ title ───── facts ─`` in exactly ``width`` cells; ``joint`` replaces the first cell."""
    stroke = "━" if focused else "─"
    rule_role = "accent" if focused else "muted"
    start = joint or stroke
    left: list[Span] = [Span(start, rule_role)]
    if title:
        left += [Span(" ", rule_role), Span(title, "accent bold" if focused else "text bold")]
        left += [Span(" ", rule_role)]
    right: list[Span] = []
    if facts:
        right = [Span(f" {facts} ", "text"), Span(stroke, rule_role)]
    taken = line_width(tuple(left)) + line_width(tuple(right))
    if taken > width:
        room = max(0, width - line_width(tuple(right)) - 4)
        if room < 8 and right:
            return rule_line(title, "", width, focused, joint)
        if not room or not title:
            return fit(tuple(left), width)
        title = "".join(span.text for span in fit((Span(title),), room, ELLIPSIS))
        return fit(rule_line(title, facts, width, focused, joint), width)
    return (*left, Span(stroke * (width - taken), rule_role), *right)


class Rule(Lines):
    """The titled rule over a pane."""

    DEFAULT_CSS = "Rule { height: 1; width: 1fr; }"

    def __init__(self, title: str = "", facts: str = "", joint: str = "") -> None:
        super().__init__()
        self.title = title
        self.facts = facts
        self.joint = joint
        self.focused_pane = False

    def set(self, title: str | None = None, facts: str | None = None) -> None:
        """Change the words of the rule."""
        self.title = self.title if title is None else title
        self.facts = self.facts if facts is None else facts
        self.redraw()

    def redraw(self) -> None:
        """Draw the rule for its width and focus."""
        self.show(
            [rule_line(self.title, self.facts, self.size.width, self.focused_pane, self.joint)]
        )

    def on_resize(self) -> None:
        self.redraw()


class Pane(Vertical):
    """A titled rule over one widget; the rule shows whether the focus is inside."""

    DEFAULT_CSS = "Pane { height: 1fr; width: 1fr; }"

    def __init__(
        self,
        title: str,
        body: Widget,
        *,
        facts: str = "",
        joint: str = "",
        widget_id: str | None = None,
    ) -> None:
        super().__init__(id=widget_id)
        self.rule = Rule(title, facts, joint)
        self.body = body

    def compose(self) -> ComposeResult:
        yield self.rule
        yield self.body

    def set_rule(self, title: str | None = None, facts: str | None = None) -> None:
        """Change title and facts of the rule."""
        self.rule.set(title, facts)

    def on_descendant_focus(self, event: DescendantFocus) -> None:
        self.call_after_refresh(self._show_focus)

    def on_descendant_blur(self, event: DescendantBlur) -> None:
        self.call_after_refresh(self._show_focus)

    def _show_focus(self) -> None:
        """Ask where the focus is now: blur and focus may come in any order."""
        self.rule.focused_pane = self.has_focus_within
        self.rule.redraw()


class Divider(Lines):
    """One column of ``│`` between two panes; its first cell joins the rules above."""

    DEFAULT_CSS = "Divider { width: 1; height: 1fr; }"

    def __init__(self, first: str = "┬", *, widget_id: str | None = None) -> None:
        super().__init__(widget_id=widget_id)
        self.first = first

    def on_resize(self) -> None:
        height = self.size.height
        self.show([(Span(self.first if row == 0 else "│", "muted"),) for row in range(height)])
