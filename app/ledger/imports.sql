-- Loads of past postings: what a book comes to, and what is noted of each load.

-- name: mode
-- What a book takes; no row where there is no such book.
select mode from book
where id = $1;

-- name: totals
-- What a book comes to, by currency and kind of account.
select
    a.currency,
    a.kind,
    (
        select count(distinct e.posting)
        from entry as e
        inner join account as touched on e.account = touched.id
        where e.book = $1 and touched.currency = a.currency and touched.kind = a.kind
    ) as postings,
    sum(a.debits_posted) as debits,
    sum(
        case a.normal
            when 'debit' then a.debits_posted - a.credits_posted
            else a.credits_posted - a.debits_posted
        end
    ) as balance
from account as a
where a.book = $1
group by a.currency, a.kind;

-- name: note_run
-- A load that came to its end.
insert into import_run (book, source, posted, found, refused, head, wanted, has)
values ($1, $2, $3, $4, $5, $6, $7::jsonb, $8::jsonb);

-- name: last_run
-- What is known of a book's last load; no row where there was none.
select
    refused,
    matched,
    head
from import_run
where book = $1
order by id desc
limit 1;

-- name: promote
-- Lets a book take present postings, for good. Whoever remembers the book learns of it.
update book set mode = 'live', revision = revision + 1
where id = $1;
