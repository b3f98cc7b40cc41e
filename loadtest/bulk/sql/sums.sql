-- One row a journal's posting: journals of a batch in the order of their first change, postings in theirs.
SELECT batch, verb, day, min(min(seq)) OVER of_journal, max(max(seq)) OVER of_journal,
    (extract(epoch FROM max(max(at)) OVER of_journal) * 1000)::bigint, source, destination, commodity, sum(amount)::bigint
FROM moves
GROUP BY batch, verb, day, source, destination, commodity
WINDOW of_journal AS (PARTITION BY batch, verb, day)
ORDER BY batch, 4, verb, day, min(seq), min(place), source, destination, commodity
