"""The pages of this room, and who may open them; what each may do there is checked where it is done."""

from gateway.console.coupons import coupon, finding, many, searching
from gateway.console.coupons.places import COUPONS
from gateway.console.locales import N_
from gateway.console.page import Page

_EVERYBODY = ("marketer", "store", "finance", "auditor", "operator")

PAGES = (
    Page(path=COUPONS, show=finding.show, roles=_EVERYBODY, menu=N_("Coupons"), section=N_("Sales")),
    Page(
        path=f"{COUPONS}/{{code}}",
        show=coupon.show,
        act=coupon.act,
        roles=_EVERYBODY,
        under=COUPONS,
    ),
    Page(path=searching.EXPORT, show=finding.export, roles=finding.EXPORTERS, under=COUPONS),
    Page(path=many.REVOKE_MANY, show=many.show, act=many.propose, roles=("marketer",), under=COUPONS),
    Page(path=many.EXPORT, show=many.export, roles=("marketer",), under=COUPONS),
    Page(path=f"{many.REVOKE_MANY}/{{proposal}}", show=many.show_one, roles=("marketer", "auditor"), under=COUPONS),
)
