-- What moved a day, by account; and by what reports ask for.
INSERT INTO account_days (shard, effective_date, commodity, account, entity, debit, credit)
SELECT asked.shard, moves.day, moves.commodity, side.account, asked.entity, sum(side.debit), sum(side.credit)
FROM asked
CROSS JOIN moves
CROSS JOIN LATERAL (VALUES (moves.destination, moves.amount, 0), (moves.source, 0, moves.amount))
    AS side (account, debit, credit)
GROUP BY asked.shard, moves.day, moves.commodity, side.account, asked.entity;

INSERT INTO movement_days (shard, effective_date, verb, source, destination, channel, store, currency, campaign, entity,
    entries, units, worth_minor, out_minor, minor, order_minor)
SELECT asked.shard, changes.day, changes.verb, coalesce(changes.source, ''), coalesce(changes.destination, ''),
    coalesce(made.channel, ''), CASE WHEN changes.verb IN ('redeem', 'rollback') THEN made.store ELSE '' END,
    asked.currency, asked.campaign, asked.entity, count(*), sum(changes.units), sum(changes.units * asked.unit_minor),
    coalesce(sum(CASE WHEN NOT asked.stored OR changes.verb IN ('restock', 'withdraw', 'claim', 'issue')
            THEN changes.units * asked.unit_minor
                * ((changes.destination IN ('outstanding', 'reserved'))::integer
                    - (changes.source IN ('outstanding', 'reserved'))::integer)
        WHEN changes.verb = 'redeem' THEN -changes.minor WHEN changes.verb = 'rollback' THEN changes.minor
        WHEN changes.verb IN ('expire', 'revoke') THEN -changes."left" ELSE 0 END), 0),
    coalesce(sum(changes.minor), 0), coalesce(sum(made.minor * 9 + 1) FILTER (WHERE changes.verb = 'redeem'), 0)
FROM asked
CROSS JOIN changes
LEFT JOIN made ON made.no = changes.no
WHERE changes.verb IS NOT NULL
GROUP BY asked.shard, changes.day, changes.verb, coalesce(changes.source, ''), coalesce(changes.destination, ''),
    coalesce(made.channel, ''), CASE WHEN changes.verb IN ('redeem', 'rollback') THEN made.store ELSE '' END,
    asked.currency, asked.campaign, asked.entity;
