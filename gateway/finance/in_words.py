"""Checks of a close, invariants of a verdict and what they count, in words: messages of the catalogues."""

from gateway.console.locales import N_

INVARIANT_WORDS = {
    "units": N_("What was put in stock is in stock, or went out and did not come back; stock was never below zero."),
    "sequence": N_("State changes are numbered without a gap, and none twice."),
    "limits": N_("No holder, no day and no budget was ever above its limit."),
    "answers": N_("Each claim is one coupon of its holder."),
    "balanced": N_("Debits are credits in each currency, in each journal and in all."),
    "commitment": N_("What is committed is the worst case of the coupons that are out."),
    "control": N_("Each account is what the rows of the sub-ledger add up to."),
    "redemptions": N_("A redeemed coupon has one redemption that stands; none gave back more than it took."),
    "once": N_("A request that came again did nothing again."),
    "chain": N_("Every journal is as it was sealed, and none is missing."),
    "settled": N_("Nothing is in quarantine or suspense, no break is unresolved, no shard has stopped."),
    "live": N_("Redis is what the books make of it."),
    "totals": N_("The totals of each day are what was booked on it."),
}
"""Invariant → what holds."""

CHECK_WORDS = {
    **INVARIANT_WORDS,
    "hold": N_("The period is on hold."),
    "order": N_("Every day before it is closed."),
    "over": N_("The period is over."),
    "drained": N_("Every state change dated in it is in the books."),
    "manual": N_("Every journal by hand dated in it is posted or rejected."),
    "suspense": N_("Nothing is in suspense at its end."),
    "roll_forward": N_("Every campaign’s opening and movements come to its closing."),
    "still": N_("Nothing was booked in it while the books were judged."),
}
"""Check of a close → what holds."""

FIGURE_WORDS = {
    "breaks open": N_("breaks open"),
    "chains": N_("chains"),
    "changes": N_("state changes"),
    "claims": N_("claims"),
    "campaigns": N_("campaigns"),
    "claimed": N_("claimed"),
    "committed": N_("committed"),
    "coupons": N_("coupons"),
    "coupons sampled": N_("coupons compared one by one"),
    "came back": N_("came back"),
    "credit": N_("credit"),
    "days open before it": N_("days open before it"),
    "debit": N_("debit"),
    "expired": N_("expired"),
    "done twice": N_("done twice"),
    "holders of several": N_("holders of several"),
    "in stock": N_("in stock"),
    "in suspense": N_("in suspense"),
    "journals": N_("journals"),
    "journals undecided": N_("journals undecided"),
    "outstanding": N_("outstanding"),
    "owed on balances": N_("owed on balances"),
    "owed to merchants": N_("owed to merchants"),
    "put in": N_("put in"),
    "quarantined": N_("quarantined"),
    "redeemed": N_("redeemed"),
    "redemptions": N_("redemptions"),
    "reserved": N_("held for an order"),
    "revoked": N_("revoked"),
    "rollbacks": N_("rollbacks"),
    "shards": N_("shards"),
    "shards stopped": N_("shards stopped"),
    "standing": N_("standing"),
    "stock": N_("stock"),
    "supply": N_("the other side of stock"),
    "totals of accounts": N_("totals of accounts"),
    "totals of coupons out": N_("totals of coupons out"),
    "totals of movements": N_("totals of movements"),
    "units credit": N_("credit, in coupons"),
    "units debit": N_("debit, in coupons"),
    "went out": N_("went out"),
    "zones": N_("time zones"),
}
"""What a figure counts, without its currency."""
