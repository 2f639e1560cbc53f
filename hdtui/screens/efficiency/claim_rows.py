"""How the claims of the paper are written."""

from hdtui.data.claims import Claim, Verdict
from hdtui.widgets import table as tables
from hdtui.widgets.lines import Span, muted

CLAIM_COLUMNS = (
    tables.Column("glyph", "", 1, gap=1),
    tables.Column("claim", "claim", 27, gap=1),
    tables.Column("target", "target", 10, gap=1, leaves_first=1),
    tables.Column("here", "here", 22, grow=True, gap=1),
    tables.Column("verdict", "verdict", 14, gap=0),
)
_GLYPHS = {
    Verdict.REPRODUCED: ("✓", "good"),
    Verdict.NOT_REPRODUCED: ("✗", "bad"),
    Verdict.NOT_MEASURED: ("∙", "muted"),
}


def claim_row(claim: Claim) -> tables.TableRow:
    """A claim with its verdict as glyph and words."""
    glyph, role = _GLYPHS[claim.verdict]
    verdict = claim.verdict.removesuffix(" yet")
    return tables.TableRow(
        (
            (Span(glyph, role),),
            (Span(claim.name),),
            (muted(claim.target),),
            (Span(claim.here),),
            (Span(verdict, role if claim.verdict is not Verdict.NOT_MEASURED else "muted"),),
        )
    )
