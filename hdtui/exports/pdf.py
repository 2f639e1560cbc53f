"""Figures as PDF pages, for papers: drawn from the same SVG by svglib and reportlab."""

from io import BytesIO


def as_pdf(figure: str) -> bytes | None:
    """An SVG figure as a PDF page of its size; None without the extra ``figures``."""
    try:
        from reportlab.graphics import renderPDF
        from svglib.svglib import svg2rlg
    except ImportError:
        return None
    drawing = svg2rlg(BytesIO(figure.encode()))
    page: bytes = renderPDF.drawToString(drawing)
    return page
