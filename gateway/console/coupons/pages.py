"""The pages of this room, and who may open them; what each may do there is checked where it is done."""

from gateway.console.coupons import coupon, finding, many
from gateway.console.locales import N_
from gateway.console.page import Page

_EVERYBODY = ("marketer", "store", "finance", "auditor", "operator")

PAGES = (
    Page(path=finding.COUPONS, show=finding.show, roles=_EVERYBODY, menu=N_("Coupons"), section=N_("Sales")),
    Page(
        path=f"{finding.COUPONS}/{{code}}",
        show=coupon.show,
        act=coupon.act,
        roles=_EVERYBODY,
        under=finding.COUPONS,
    ),
    Page(path=many.REVOKE_MANY, show=many.show, act=many.propose, roles=("marketer",), under=finding.COUPONS),
)
