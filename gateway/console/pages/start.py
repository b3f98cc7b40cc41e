"""The first page: who you are, what you may do, what the system is doing."""

from starlette.responses import Response

from gateway.console.access import HOME
from gateway.console.figures import figures
from gateway.console.locales import N_
from gateway.console.page import Page, Visit

FIGURES = f"{HOME}/figures"


async def show(visit: Visit) -> Response:
    """The page."""
    return visit.render("start", figures=await figures(visit.here, visit.words), figures_at=FIGURES)


async def show_figures(visit: Visit) -> Response:
    """The figures alone, for the page to bring up to date."""
    return visit.render("figures", figures=await figures(visit.here, visit.words))


PAGES = (
    Page(path=HOME, show=show, menu=N_("Start"), section=N_("Overview")),
    Page(path=FIGURES, show=show_figures, is_looked_at=False),
)
