-- The seals of books: what they are made of, and what is read to verify them.

-- name: take_turn
-- Whether this block is the one that seals this book now. The number is 'seal' in ASCII.
select pg_try_advisory_xact_lock(1936024940, hashtext($1));

-- name: next_range
-- What is to be sealed next of a book: at most $2 postings, and at most $3 transfers unless one
-- posting alone has more; and whether there is more then. No row where all is sealed. Postings become
-- visible in their own order, so what is seen has no gaps.
with tip as (
    select
        coalesce(max(s.last), 0) as last,
        coalesce((array_agg(s.head))[1], decode(repeat('00', 32), 'hex')) as head
    from (
        select
            seal.last,
            seal.head
        from seal
        where seal.book = $1
        order by seal.last desc
        limit 1
    ) as s
),

ahead as (
    select
        p.number,
        sum(p.transfers) over (order by p.number) as transfers
    from (
        select
            posting.number,
            posting.transfers
        from posting
        where posting.book = $1 and posting.number > (select tip.last from tip)
        order by posting.number
        limit $2
    ) as p
)

select
    tip.last + 1 as first,
    max(ahead.number) as last,
    tip.head as previous,
    clock_timestamp() as sealed_at,
    exists (select 1 from posting as p where p.book = $1 and p.number = max(ahead.number) + 1)
        as more
from tip
inner join ahead on ahead.transfers <= $3 or ahead.number = tip.last + 1
group by tip.last, tip.head;

-- name: content
-- SHA-256 of all that a range of a book says, as lines of JSON; at most $5 rows of a kind are read.
-- Of the accounts, those are in it that have their first entry in the range.
select
    sha256(
        convert_to(
            concat_ws(
                E'\n',
                json_build_array(
                    'agio seal 1', $1::text, $2::bigint, $3::bigint,
                    extract(epoch from $4::timestamptz)::text
                )::text,
                (
                    select
                        string_agg(
                            json_build_array(
                                'posting', p.number, p.key, encode(p.request_hash, 'hex'),
                                p.transfers, extract(epoch from p.recorded_at)::text,
                                extract(epoch from p.effective_at)::text, p.reverses, p.pair_book,
                                p.pair_number, p.imported, p.meta::text
                            )::text,
                            E'\n' order by p.number
                        )
                    from (
                        select * from posting
                        where book = $1 and number between $2 and $3
                        order by number
                        limit $5
                    ) as p
                ),
                (
                    select
                        string_agg(
                            json_build_array(
                                'transfer', t.posting, t.leg, t.phase::text, t.currency,
                                t.debit_account, t.credit_account, t.amount, t.pending_posting,
                                t.pending_leg, t.pending_amount,
                                extract(epoch from t.expires_at)::text,
                                t.debit_version, t.debit_balance_after, t.debit_pending_after,
                                t.credit_version, t.credit_balance_after, t.credit_pending_after
                            )::text,
                            E'\n' order by t.posting, t.leg
                        )
                    from (
                        select * from transfer
                        where book = $1 and posting between $2 and $3
                        order by posting, leg
                        limit $5
                    ) as t
                ),
                (
                    select
                        string_agg(
                            json_build_array(
                                'conversion', c.posting, c.leg, c.quote, c.source_currency,
                                c.source_amount, c.target_currency, c.target_amount,
                                c.rate_numerator, c.rate_denominator, c.spread_bp
                            )::text,
                            E'\n' order by c.posting, c.leg
                        )
                    from (
                        select * from conversion
                        where book = $1 and posting between $2 and $3
                        order by posting, leg
                        limit $5
                    ) as c
                ),
                (
                    select
                        string_agg(
                            json_build_array(
                                'account', a.id, a.book, a.path, a.kind, a.currency, a.owner
                            )::text,
                            E'\n' order by a.id
                        )
                    from (
                        select account.*
                        from (
                            select transfer.debit_account as id
                            from transfer
                            where
                                transfer.book = $1
                                and transfer.posting between $2 and $3
                                and transfer.debit_version = 1
                            union all
                            select transfer.credit_account as id
                            from transfer
                            where
                                transfer.book = $1
                                and transfer.posting between $2 and $3
                                and transfer.credit_version = 1
                        ) as opened
                        inner join account on opened.id = account.id
                        order by account.id
                        limit $5
                    ) as a
                )
            ),
            'UTF8'
        )
    );

-- name: seal
-- Notes a range as sealed, unless somebody else just did.
insert into seal (book, first, last, content, previous, head, sealed_at)
values ($1, $2, $3, $4::bytea, $5::bytea, sha256($5::bytea || $4::bytea), $6)
on conflict do nothing
returning last;

-- name: behind
-- Some books that have postings without a seal, in the order of their ids.
select b.id
from book as b
where
    b.id > $1
    and b.head > coalesce(
        (select s.last from seal as s where s.book = b.id order by s.last desc limit 1), 0
    )
order by b.id
limit $2;

-- name: books
-- Some books that there are or of which seals are left, or of these the one that $3 names, in the
-- order of their ids, with the number of the last posting that is there.
select
    b.id,
    coalesce((select p.number from posting as p where p.book = b.id order by p.number desc limit 1), 0)
        as head
from (
    select book.id collate "C" as id
    from book
    where book.id collate "C" > $1 and ($3::text is null or book.id = $3)
    union
    select seal.book as id
    from seal
    where seal.book > $1 and ($3::text is null or seal.book = $3)
    order by id
    limit $2
) as b
order by b.id;

-- name: seals
-- Some of a book's seals, in their order.
select
    book,
    first,
    last,
    content,
    previous,
    head,
    sealed_at
from seal
where book = $1 and first > $2
order by first
limit $3;
