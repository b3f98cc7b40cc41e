-- Each move of units and of money, by the state change that made it: units first, as the books have them.
CREATE TEMPORARY TABLE moves ON COMMIT DROP AS
SELECT changes.batch, changes.verb, changes.day, changes.seq, changes.at, move.place, move.source, move.destination,
    move.commodity, move.amount
FROM asked
CROSS JOIN changes
LEFT JOIN made ON made.no = changes.no
CROSS JOIN LATERAL (
    SELECT 'payable:' || made.merchant AS payable, 'liability:gift:' || asked.campaign AS liability,
        'commitment:' || asked.campaign AS commitment, 'clearing:gift:' || asked.campaign AS clearing,
        'income:breakage:' || asked.campaign AS breakage, changes.units * asked.unit_minor AS worth,
        changes.source IN ('outstanding', 'reserved') AS was_out, changes.destination IN ('outstanding', 'reserved') AS is_out
) AS named
CROSS JOIN LATERAL (
    SELECT 0 AS place, changes.source, changes.destination, 'coupon:' || asked.campaign AS commodity,
        changes.units::bigint AS amount
    WHERE changes.source IS NOT NULL
    UNION ALL  -- the budget, and what is committed of it
    SELECT 1, 'budget:authorised', 'budget:available', asked.currency, named.worth
    WHERE NOT asked.stored AND changes.verb = 'restock'
    UNION ALL
    SELECT 1, 'budget:available', 'budget:authorised', asked.currency, named.worth
    WHERE NOT asked.stored AND changes.verb = 'withdraw'
    UNION ALL
    SELECT 1, 'budget:available', named.commitment, asked.currency, named.worth
    WHERE NOT asked.stored AND NOT named.was_out AND named.is_out
    UNION ALL
    SELECT 1, named.commitment, 'budget:available', asked.currency, named.worth
    WHERE NOT asked.stored AND named.was_out AND NOT named.is_out
    UNION ALL  -- what a balance is owed, and owed no more
    SELECT 1, named.liability, named.clearing, asked.currency, named.worth
    WHERE asked.stored AND changes.verb IN ('claim', 'issue')
    UNION ALL
    SELECT 1, named.breakage, named.liability, asked.currency, changes."left"
    WHERE asked.stored AND changes.verb IN ('expire', 'revoke') AND changes."left" > 0
    UNION ALL  -- a discount, from whoever gave it to whoever bears it, and back
    SELECT 1 + share.number, CASE changes.verb WHEN 'redeem' THEN named.payable ELSE share.bearer END,
        CASE changes.verb WHEN 'redeem' THEN share.bearer ELSE named.payable END, asked.currency, share.minor
    FROM (VALUES
        (1, CASE WHEN asked.stored THEN named.liability ELSE 'expense:promotion:' || asked.first_funder END,
            CASE WHEN asked.stored THEN changes.minor ELSE changes.minor_first END),
        (2, 'expense:promotion:' || asked.second_funder,
            CASE WHEN asked.stored THEN 0 ELSE changes.minor - changes.minor_first END)
    ) AS share (number, bearer, minor)
    WHERE changes.verb IN ('redeem', 'rollback') AND share.minor > 0
) AS move;
