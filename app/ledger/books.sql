-- The books of a line, and what was posted to them.

-- name: line_of_book
-- The line of a book; no row where there is none.
select line from book
where id = $1;

-- name: books_of_line
-- A page of a line's books.
select
    id,
    mode,
    head,
    nullif(locked_before, '-infinity') as locked_before
from book
where line = $1 and id > $2
order by id
limit $3;

-- name: book_of_line
-- One book; no row where the line has none of this id.
select
    id,
    mode,
    head,
    nullif(locked_before, '-infinity') as locked_before
from book
where line = $1 and id = $2;

-- name: chart
-- A book's chart.
select
    pattern,
    kind,
    floor,
    ceiling
from chart
where book = $1
order by pattern collate "C";

-- name: number_of_key
-- The number of the posting that has a key; no row where none has.
select number from posting
where book = $1 and key = $2;

-- name: postings
-- A page of a book's postings, from a number on.
select
    p.number,
    p.key,
    p.transfers,
    p.recorded_at,
    coalesce(p.effective_at, p.recorded_at) as effective_at,
    p.reverses,
    r.number as reversed_by,
    p.pair_book,
    p.pair_number,
    p.imported,
    p.meta::text as meta
from posting as p
left join posting as r on p.book = r.book and p.number = r.reverses
where p.book = $1 and p.number > $2
order by p.number
limit $3;

-- name: transfers
-- The transfers of some postings, in their order.
select
    t.posting,
    t.leg,
    t.phase::text as phase,
    d.path as debit,
    c.path as credit,
    t.amount,
    t.currency,
    t.debit_balance_after,
    t.credit_balance_after,
    t.pending_posting,
    t.pending_leg,
    t.expires_at
from transfer as t
inner join account as d on t.debit_account = d.id
inner join account as c on t.credit_account = c.id
where t.book = $1 and t.posting between $2 and $3
order by t.posting, t.leg;
