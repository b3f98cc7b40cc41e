"""docs/recovery.md says of a stocktake what the program does."""

from reconciler.stocktake.fields import COUPON_FIELDS
from reconciler.stocktake.figures import FIGURES
from reconciler.stocktake.likely import CAUSES
from tests.test_docs import page, table


def test_every_figure_field_and_cause_is_on_the_page() -> None:
    """The page lists each figure, each field of a coupon and each cause as the program has them, in their order."""
    recovery = page("recovery")

    figures = table(recovery, "figure", "what it is")
    assert [(name.strip("`"), about) for name, about in figures] == list(FIGURES.items())
    fields = table(recovery, "field of a coupon", "what it is")
    assert [(name.strip("`"), about) for name, about in fields] == list(COUPON_FIELDS.items())
    causes = table(recovery, "cause", "likely", "what to do")
    assert [(code.strip("`"), text) for code, text, _ in causes] == [(one.code, one.text) for one in CAUSES]
    assert all(todo for _, _, todo in causes)
