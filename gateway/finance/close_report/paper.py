"""A close report as a PDF on A4. The same report gives the same bytes: no clock and no random id goes into it."""

import io
from collections.abc import Sequence
from html import escape
from itertools import groupby
from typing import Any

from reportlab.lib.colors import HexColor
from reportlab.lib.enums import TA_RIGHT
from reportlab.lib.pagesizes import A4
from reportlab.lib.styles import ParagraphStyle
from reportlab.lib.units import mm
from reportlab.pdfbase import pdfmetrics
from reportlab.pdfbase.cidfonts import UnicodeCIDFont
from reportlab.pdfgen.canvas import Canvas
from reportlab.platypus import CondPageBreak, Flowable, LongTable, Paragraph, SimpleDocTemplate, Spacer, Table

from gateway.finance.close_report.document import Column, Document, Section

INK, QUIET, LINE = HexColor("#17212b"), HexColor("#5a6672"), HexColor("#d5dbe1")
GOOD, ACCENT = HexColor("#14663a"), HexColor("#1d4e79")
PLAIN, BOLD, FIXED, WIDE = "Helvetica", "Helvetica-Bold", "Courier", "STSong-Light"
"""The fonts every reader of PDF has; the last one has what the others lack: names in other scripts."""

MARGIN = 16 * mm
WIDTH = A4[0] - 2 * MARGIN
PADDING = 6  # of a frame, which reportlab keeps within the margins
CHARS_A_COLUMN_MAX, CHARS_A_NUMBER = 60, 9
_PLAINER = str.maketrans({"\u2212": "-", "\u202f": "\u00a0", "\u2009": "\u00a0"})

pdfmetrics.registerFont(UnicodeCIDFont(WIDE))


def _style(name: str, size: float, **more: Any) -> ParagraphStyle:
    base = {"fontName": PLAIN, "fontSize": size, "leading": size * 1.32, "textColor": INK, "splitLongWords": 1}
    return ParagraphStyle(name, **{**base, **more})


STYLES = {
    "brand": _style("brand", 9.5, fontName=BOLD, textColor=ACCENT, spaceAfter=14),
    "title": _style("title", 9.5, textColor=QUIET),
    "period": _style("period", 22, fontName=BOLD, leading=27, spaceAfter=10),
    "name": _style("name", 7, textColor=QUIET),
    "fact": _style("fact", 8.5, fontName=BOLD),
    "heading": _style("heading", 11, fontName=BOLD, spaceAfter=2),
    "about": _style("about", 8, textColor=QUIET, spaceAfter=4),
    "head": _style("head", 7, textColor=QUIET),
    "cell": _style("cell", 7.6),
    "total": _style("total", 7.6, fontName=BOLD),
    "code": _style("code", 6.6, fontName=FIXED),
}
RIGHT = {name: ParagraphStyle(f"{name}-right", style, alignment=TA_RIGHT) for name, style in STYLES.items()}


class _Numbered(Canvas):
    """A canvas that knows how many pages there are before it writes the number of each."""

    def __init__(self, *args: Any, foot: str, **more: Any) -> None:
        super().__init__(*args, **more)
        self._foot, self._pages = foot, list[dict[str, Any]]()

    def showPage(self) -> None:  # noqa: N802 - a name of reportlab's
        """Keep the page."""
        self._pages.append(dict(self.__dict__))
        self._startPage()  # type: ignore[attr-defined]

    def save(self) -> None:
        """Write every page with its number."""
        pages = self._pages
        for number, page in enumerate(pages, start=1):
            self.__dict__.update(page)
            self._pages = pages
            self.setFillColor(QUIET)
            self.setFont(WIDE if any(map(_is_wide, self._foot)) else PLAIN, 7)
            self.drawString(MARGIN, 10 * mm, self._foot)
            self.setFont(PLAIN, 7)
            self.drawRightString(A4[0] - MARGIN, 10 * mm, f"{number} / {len(pages)}")
            super().showPage()
        super().save()


def paper(document: Document) -> bytes:
    """The PDF."""
    data = io.BytesIO()
    entity = document.facts[0][1]
    foot = f"{document.title}, {entity}, {document.period}".translate(_PLAINER)
    template = SimpleDocTemplate(
        data,
        pagesize=A4,
        leftMargin=MARGIN - PADDING,
        rightMargin=MARGIN - PADDING,
        topMargin=16 * mm,
        bottomMargin=18 * mm,
        title=foot,
        author="Fairclaim",
        invariant=1,
    )
    story = [
        *_head(document),
        *(part for section in document.sections for part in _section(section)),
        *_signatures(document),
    ]

    def canvas(*args: Any, **more: Any) -> _Numbered:
        return _Numbered(*args, foot=foot, **more)

    template.build(story, canvasmaker=canvas)
    return data.getvalue()


def _head(document: Document) -> list[Flowable]:
    stamp = Table([[document.stamp.upper()]], hAlign="RIGHT", style=[
        ("BOX", (0, 0), (-1, -1), 1.4, GOOD), ("TEXTCOLOR", (0, 0), (-1, -1), GOOD),
        ("FONT", (0, 0), (-1, -1), BOLD, 10), ("ALIGN", (0, 0), (-1, -1), "CENTER"),
        ("TOPPADDING", (0, 0), (-1, -1), 4), ("BOTTOMPADDING", (0, 0), (-1, -1), 6),
    ])  # fmt: skip
    words = [_text("brand", "Fairclaim"), _text("title", document.title), _text("period", document.period)]
    facts = [[_text("name", name), _text("fact", what)] for name, what in document.facts]
    columns = 3
    grid = [facts[at : at + columns] for at in range(0, len(facts), columns)]
    grid[-1] += [[]] * (columns - len(grid[-1]))
    flat = [("LEFTPADDING", (0, 0), (-1, -1), 0), ("VALIGN", (0, 0), (-1, -1), "TOP")]
    return [
        Table(
            [[words, stamp]],
            colWidths=[WIDTH - 34 * mm, 34 * mm],
            style=[*flat, ("RIGHTPADDING", (0, 0), (-1, -1), 0), ("ALIGN", (1, 0), (1, 0), "RIGHT")],
        ),
        Table(grid, colWidths=[WIDTH / columns] * columns, style=[*flat, ("LINEBELOW", (0, -1), (-1, -1), 1.2, INK)]),
    ]


def _section(section: Section) -> list[Flowable]:
    parts: list[Flowable] = [Spacer(0, 7 * mm), CondPageBreak(32 * mm), _text("heading", section.title)]
    if section.about:
        parts.append(_text("about", section.about))
    if not section.rows:
        return [*parts, _text("about", section.none)]
    return [*parts, _table(section)]


def _table(section: Section) -> Flowable:
    columns = section.columns
    head = _row(columns, [column.name for column in columns], "head")
    body = [_row(columns, row, "") for row in section.rows]
    totals = [_row(columns, row, "total") for row in section.totals]
    lines: list[Any] = [
        ("VALIGN", (0, 0), (-1, -1), "TOP"),
        ("VALIGN", (0, 0), (-1, 0), "BOTTOM"),
        ("TOPPADDING", (0, 0), (-1, -1), 2.5),
        ("BOTTOMPADDING", (0, 0), (-1, -1), 2.5),
        ("LEFTPADDING", (0, 0), (-1, -1), 3),
        ("RIGHTPADDING", (0, 0), (-1, -1), 3),
        ("LEFTPADDING", (0, 0), (0, -1), 0),
        ("RIGHTPADDING", (-1, 0), (-1, -1), 0),
        ("LINEBELOW", (0, 0), (-1, 0), 0.7, INK),
        ("LINEBELOW", (0, 1), (-1, len(body)), 0.3, LINE),
    ]
    if totals:
        lines += [
            ("LINEABOVE", (0, -len(totals)), (-1, -len(totals)), 0.7, INK),
            ("LINEBELOW", (0, -1), (-1, -1), 0.5, INK, 0, None, None, 2, 1.2),
        ]
    return LongTable([head, *body, *totals], colWidths=_widths(section), repeatRows=1, style=lines)


def _row(columns: Sequence[Column], cells: Sequence[str], style: str) -> list[Paragraph]:
    return [_cell(column, text, style) for column, text in zip(columns, cells, strict=True)]


def _widths(section: Section) -> list[float]:
    """The page's width, shared by what the columns hold: a number has to have room for all of it."""
    sizes = []
    for at, column in enumerate(section.columns):
        cells = [row[at] for row in (*section.rows, *section.totals)]
        whole = column.number or column.whole
        longest = max((pdfmetrics.stringWidth(text, BOLD, 7.6) for text in cells if whole), default=0)
        words = max((pdfmetrics.stringWidth(word, PLAIN, 7) for word in column.name.split()), default=0)
        chars = max(map(len, cells), default=1)
        sizes.append((max(longest, words) + 8, CHARS_A_NUMBER if whole else min(max(chars, 8), CHARS_A_COLUMN_MAX)))
    free = WIDTH - sum(least for least, _ in sizes)
    shares = sum(share for _, share in sizes)
    if free <= 0:
        return [WIDTH * least / sum(least for least, _ in sizes) for least, _ in sizes]
    return [least + free * share / shares for least, share in sizes]


def _signatures(document: Document) -> list[Flowable]:
    prepared, reviewed, on = document.signed
    row = [_text("name", name) for name in (prepared, "", reviewed, "", on)]
    gap = 10 * mm
    wide = (WIDTH - 2 * gap - 34 * mm) / 2
    lines: list[Any] = [("LINEABOVE", (at, 0), (at, 0), 0.7, INK) for at in (0, 2, 4)]
    table = Table(
        [row], colWidths=[wide, gap, wide, gap, 34 * mm], style=[*lines, ("LEFTPADDING", (0, 0), (-1, -1), 0)]
    )
    return [CondPageBreak(20 * mm), Spacer(0, 14 * mm), table]


def _cell(column: Column, text: str, style: str) -> Paragraph:
    name = style or ("code" if column.code else "cell")
    return _text(name, text, RIGHT if column.number else STYLES)


def _text(style: str, text: str, styles: dict[str, ParagraphStyle] = STYLES) -> Paragraph:
    shown = text.translate(_PLAINER)
    runs = [
        f'<font name="{WIDE}">{escape("".join(run), quote=False)}</font>' if wide else escape("".join(run), quote=False)
        for wide, run in groupby(shown, key=_is_wide)
    ]
    return Paragraph("".join(runs), styles[style])


def _is_wide(char: str) -> bool:
    """Whether the fonts for Latin text lack *char*."""
    return not char.encode("cp1252", "ignore")
