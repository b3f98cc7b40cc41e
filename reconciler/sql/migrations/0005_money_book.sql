-- The money book: beside the units that a state change moves, the money it may cost and did.
-- A journal may have as many postings as there are merchants and funders, and a sum of money has no bound.
DROP VIEW v_balances;
ALTER TABLE postings
    ALTER COLUMN line TYPE integer,
    ALTER COLUMN amount TYPE numeric(38),
    ADD CONSTRAINT postings_commodity_check CHECK (commodity LIKE 'coupon:%' OR commodity ~ '^[A-Z]{3}$'),
    ADD CONSTRAINT postings_book_check CHECK (
        (source ~ '^(supply|stock|outstanding|reserved|redeemed|expired|revoked)$') = (commodity LIKE 'coupon:%')
        AND (destination ~ '^(supply|stock|outstanding|reserved|redeemed|expired|revoked)$') = (commodity LIKE 'coupon:%')
    );

-- The balance of every account of the unit book, a campaign: what came in less what went out.
CREATE VIEW v_balances AS
SELECT commodity, account, sum(amount)::bigint AS balance
FROM (
    SELECT commodity, destination AS account, amount FROM postings WHERE commodity LIKE 'coupon:%'
    UNION ALL
    SELECT commodity, source, -amount FROM postings WHERE commodity LIKE 'coupon:%'
) AS moves
GROUP BY commodity, account;

-- Each side of each posting of the money book: debit is what came into the account, credit what went out of it.
CREATE VIEW v_money_movements AS
SELECT journals.id AS journal, journals.shard, split_part(journals.shard, '/', 1) AS campaign, journals.verb,
    journals.first_seq, journals.last_seq, journals.occurred_at, journals.effective_date, journals.posted_at,
    postings.line, postings.commodity AS currency, side.account, side.debit, side.credit
FROM postings
JOIN journals ON journals.id = postings.journal
CROSS JOIN LATERAL (
    VALUES (postings.destination, postings.amount, 0::numeric), (postings.source, 0::numeric, postings.amount)
) AS side (account, debit, credit)
WHERE postings.commodity NOT LIKE 'coupon:%';

-- The balance of every account of the money book in each currency; the balances of a currency sum to zero.
CREATE VIEW v_money_balances AS
SELECT currency, account, sum(debit) AS debit, sum(credit) AS credit, sum(debit - credit) AS balance
FROM v_money_movements
GROUP BY currency, account;

-- The same, a campaign.
CREATE VIEW v_campaign_money AS
SELECT campaign, currency, account, sum(debit) AS debit, sum(credit) AS credit, sum(debit - credit) AS balance
FROM v_money_movements
GROUP BY campaign, currency, account;

-- What each funder bears of each campaign: spent by redemptions, given back by rollbacks.
CREATE VIEW v_funder_money AS
SELECT substr(account, 19) AS funder, campaign, currency, sum(debit) AS spent, sum(credit) AS given_back,
    sum(debit - credit) AS balance
FROM v_money_movements
WHERE account LIKE 'expense:promotion:%'
GROUP BY funder, campaign, currency;

-- What each merchant is owed for each campaign: discounts it gave, less those it took back. Empty: no merchant was named.
CREATE VIEW v_merchant_money AS
SELECT substr(account, 9) AS merchant, campaign, currency, sum(credit) AS given, sum(debit) AS taken_back,
    sum(credit - debit) AS owed
FROM v_money_movements
WHERE account = 'payable' OR account LIKE 'payable:%'
GROUP BY merchant, campaign, currency;

-- The trial balance: the totals of each currency, whose debits and credits are the same.
CREATE VIEW v_trial_balance AS
SELECT currency, account, greatest(balance, 0) AS debit, greatest(-balance, 0) AS credit
FROM v_money_balances
WHERE balance <> 0;

-- Each rollback with its journal, and the journal of the redemption that it gives back of. Where a late record was
-- booked inside the range of an earlier journal, the narrower one is its own.
CREATE VIEW v_reversals AS
SELECT rollbacks.shard, rollbacks.seq, back.journal, rollbacks.minor, rollbacks.redemption,
    redemptions.seq AS redeemed_seq, redeemed.journal AS reverses
FROM rollbacks
JOIN redemptions ON redemptions.id = rollbacks.redemption
LEFT JOIN LATERAL (
    SELECT journals.id AS journal
    FROM journals
    WHERE journals.shard = rollbacks.shard AND verb = 'rollback' AND rollbacks.seq BETWEEN first_seq AND last_seq
    ORDER BY last_seq - first_seq
    LIMIT 1
) AS back ON true
LEFT JOIN LATERAL (
    SELECT journals.id AS journal
    FROM journals
    WHERE journals.shard = redemptions.shard AND verb = 'redeem' AND redemptions.seq BETWEEN first_seq AND last_seq
    ORDER BY last_seq - first_seq
    LIMIT 1
) AS redeemed ON true;

GRANT SELECT ON v_balances, v_money_movements, v_money_balances, v_campaign_money, v_funder_money, v_merchant_money,
    v_trial_balance, v_reversals TO fairclaim_reader, fairclaim_gateway, fairclaim_reconciler;
