-- What is read of the ledger's past. Balances and statements read indexes and nothing else.

-- name: is_book_of_line
-- Whether a line has a book of this id.
select exists (
    select 1 from book as b
    where b.id = $1 and b.line = $2
);

-- name: head
-- The number of a book's last posting.
select head from book
where id = $1;

-- name: point
-- A moment as a place in a book's order, as it was when $3 was its last posting; no row where there
-- is no such book.
select
    b.head,
    least(b.head, $3) as until,
    case
        when $2::timestamptz is null then least(b.head, $3)
        else least(posting_by(b.id, $2), $3)
    end as number
from book as b
where b.id = $1;

-- name: standings
-- How accounts $2 stood when posting $1 of their book was its last: what their last entries say, on
-- either side.
select
    wanted.account,
    case
        when d.posting is null then coalesce(c.balance, 0)
        when c.posting is null or (d.posting, d.leg) > (c.posting, c.leg) then d.balance
        else c.balance
    end as balance,
    coalesce(d.pending, 0) as debits_pending,
    coalesce(c.pending, 0) as credits_pending
from unnest($2::bigint[]) as wanted (account)
left join lateral (
    select
        t.posting,
        t.leg,
        t.debit_balance_after as balance,
        t.debit_pending_after as pending
    from transfer as t
    where t.debit_account = wanted.account and t.posting <= $1
    order by t.posting desc, t.leg desc
    limit 1
) as d on true
left join lateral (
    select
        t.posting,
        t.leg,
        t.credit_balance_after as balance,
        t.credit_pending_after as pending
    from transfer as t
    where t.credit_account = wanted.account and t.posting <= $1
    order by t.posting desc, t.leg desc
    limit 1
) as c on true;

-- name: late
-- What was posted to accounts $5 of book $1 after posting $2, up to $3, and took effect by $4.
select
    e.account,
    sum(case when e.side = a.normal then e.posted else -e.posted end)::bigint as balance,
    coalesce(sum(e.pending) filter (where e.side = 'debit'), 0)::bigint as debits_pending,
    coalesce(sum(e.pending) filter (where e.side = 'credit'), 0)::bigint as credits_pending
from posting as p
inner join entry as e on p.book = e.book and p.number = e.posting
inner join account as a on e.account = a.id
where
    p.book = $1
    and p.number > $2
    and p.number <= $3
    and p.effective_at <= $4
    and e.account = any($5::bigint[])
group by e.account;

-- name: totals
-- All accounts of a book, each as `standings` and `late` have it, summed up by currency and kind.
with late as (
    select
        e.account,
        sum(case when e.side = a.normal then e.posted else -e.posted end) as balance,
        sum(e.pending) filter (where e.side = 'debit') as debits_pending,
        sum(e.pending) filter (where e.side = 'credit') as credits_pending
    from posting as p
    inner join entry as e on p.book = e.book and p.number = e.posting
    inner join account as a on e.account = a.id
    where p.book = $1 and p.number > $2 and p.number <= $3 and p.effective_at <= $4
    group by e.account
),

standing as (
    select
        a.currency,
        a.kind,
        case when a.normal = 'debit' then 1 else -1 end
        * (
            case
                when d.posting is null then coalesce(c.balance, 0)
                when c.posting is null or (d.posting, d.leg) > (c.posting, c.leg) then d.balance
                else c.balance
            end + coalesce(late.balance, 0)
        ) as debit,
        coalesce(d.pending, 0) + coalesce(late.debits_pending, 0) as debits_pending,
        coalesce(c.pending, 0) + coalesce(late.credits_pending, 0) as credits_pending
    from account as a
    left join lateral (
        select
            t.posting,
            t.leg,
            t.debit_balance_after as balance,
            t.debit_pending_after as pending
        from transfer as t
        where t.debit_account = a.id and t.posting <= $2
        order by t.posting desc, t.leg desc
        limit 1
    ) as d on true
    left join lateral (
        select
            t.posting,
            t.leg,
            t.credit_balance_after as balance,
            t.credit_pending_after as pending
        from transfer as t
        where t.credit_account = a.id and t.posting <= $2
        order by t.posting desc, t.leg desc
        limit 1
    ) as c on true
    left join late on a.id = late.account
    where a.book = $1
)

select
    s.currency,
    s.kind,
    count(*) as accounts,
    sum(greatest(s.debit, 0)) as debit,
    sum(greatest(-s.debit, 0)) as credit,
    sum(s.debits_pending) as debits_pending,
    sum(s.credits_pending) as credits_pending
from standing as s
group by s.currency, s.kind
order by s.currency, s.kind;

-- name: account
-- One account; no row where there is none of this id.
select * from account_seen
where id = $1;

-- name: accounts_of_book
-- A page of a book's accounts, in the order of their paths and currencies.
select * from account_seen
where book = $1 and (path, currency) > ($2, $3)
order by path, currency
limit $4;

-- name: balance_at
-- An account's balance with its entry at a place, or the last one before; no row where it had none.
select last.balance
from (
    (
        select
            t.posting,
            t.leg,
            t.debit_balance_after as balance
        from transfer as t
        where t.debit_account = $1 and (t.posting, t.leg) <= ($2, $3)
        order by t.posting desc, t.leg desc
        limit 1
    )
    union all
    (
        select
            t.posting,
            t.leg,
            t.credit_balance_after as balance
        from transfer as t
        where t.credit_account = $1 and (t.posting, t.leg) <= ($2, $3)
        order by t.posting desc, t.leg desc
        limit 1
    )
) as last
order by last.posting desc, last.leg desc
limit 1;

-- name: statement_lines
-- A page of an account's entries, after a place in its book $2 and up to posting $5.
with line as (
    select * from (
        (
            select
                t.posting,
                t.leg,
                'debit' as side,
                t.phase,
                t.amount,
                t.debit_balance_after as balance_after,
                t.debit_pending_after as pending_after
            from transfer as t
            where t.debit_account = $1 and (t.posting, t.leg) > ($3, $4) and t.posting <= $5
            order by t.posting, t.leg
            limit $6
        )
        union all
        (
            select
                t.posting,
                t.leg,
                'credit' as side,
                t.phase,
                t.amount,
                t.credit_balance_after as balance_after,
                t.credit_pending_after as pending_after
            from transfer as t
            where t.credit_account = $1 and (t.posting, t.leg) > ($3, $4) and t.posting <= $5
            order by t.posting, t.leg
            limit $6
        )
    ) as both_sides
    order by posting, leg
    limit $6
)

select
    line.posting,
    line.leg,
    p.key,
    line.side,
    line.phase::text as phase,
    line.amount,
    line.balance_after,
    line.pending_after,
    p.recorded_at,
    p.effective_at
from line
inner join lateral (
    -- One by one, since a page has few lines, however few postings there are to choose from.
    select
        posting.key,
        posting.recorded_at,
        coalesce(posting.effective_at, posting.recorded_at) as effective_at
    from posting
    where posting.book = $2 and posting.number = line.posting
    limit 1
) as p on true
order by line.posting, line.leg;
