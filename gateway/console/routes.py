"""Every page of the console, in the order of the menu, and the routes made of them."""

from starlette.routing import Route

from gateway.console.alerts import pages as alerts
from gateway.console.alerts import receivers, thresholds
from gateway.console.books.pages import PAGES as BOOKS_PAGES
from gateway.console.campaigns import changing, detail, holders, listing, versions, wizard
from gateway.console.coupons import pages as coupons
from gateway.console.live import pages as live
from gateway.console.page import routes as routes_of
from gateway.console.pages import account, audit, sign_in, start, users, waiting
from gateway.console.pages.nothing import NOTHING
from gateway.console.render import ASSETS

PAGES = (
    *start.PAGES,
    *live.PAGES,
    *alerts.PAGES,
    *thresholds.PAGES,
    *receivers.PAGES,
    *waiting.PAGES,
    *listing.PAGES,
    *wizard.PAGES,
    *detail.PAGES,
    *holders.PAGES,
    *versions.PAGES,
    *changing.PAGES,
    *coupons.PAGES,
    *BOOKS_PAGES,
    *users.PAGES,
    *audit.PAGES,
    *account.PAGES,
    *sign_in.PAGES,
    NOTHING,  # last: it takes every path that is left
)

routes = [Route("/console/assets/{name}", ASSETS.answer, methods=["GET"]), *routes_of(PAGES)]
