-- Postings are written by one function, so that a batch can be one statement: it sees that the book
-- is as whoever decided the batch took it to be, and writes it, or does nothing.

-- Writes postings with their transfers, and says when they were recorded. Null, and nothing is written,
-- where the book's head or revision is another one by now.
--
-- Without a time of recording nothing was read of the book under its lock, so two things are looked
-- for here: a key that is used already, of these postings or the others that were asked for, and a
-- hold whose time is over, which ends before anything else is posted. Null where there is one. The
-- time is the database's then.
--
-- Rows are looked up by an index each, and plans are made once; see posting.sql. An array that says
-- what goes without saying may be empty: postings have one transfer, which moves money and ends no
-- hold, and nothing is pending. What that makes of other arrays the triggers refuse.
create function record_batch(
    in_book text, in_head bigint, in_revision bigint, in_recorded_at timestamptz, others text[],
    in_imported boolean, in_pair_book text, in_pair_number bigint,
    keys text[], request_hashes bytea[], counts smallint[],
    effective_times timestamptz[], reversals bigint[], metas text[],
    postings bigint[], legs smallint[], phases text[], currencies text[],
    debit_accounts bigint[], credit_accounts bigint[], amounts bigint[],
    debit_versions bigint[], debit_balances bigint[], debit_pendings bigint[],
    credit_versions bigint[], credit_balances bigint[], credit_pendings bigint[],
    pending_postings bigint[], pending_legs smallint[], pending_amounts bigint[],
    expiries timestamptz[]
) returns timestamptz
language plpgsql
set search_path = public, pg_temp set enable_seqscan = off set enable_bitmapscan = off
set plan_cache_mode = force_generic_plan as $$
declare
    recorded_before timestamptz;
    moment timestamptz := in_recorded_at;
begin
    select b.recorded_at into recorded_before
    from book as b
    where b.id = in_book and b.head = in_head and b.revision = in_revision
    for update;
    if not found then
        return null;
    end if;
    if moment is null then
        moment := greatest(clock_timestamp(), recorded_before);
        perform 1
        from unnest(keys || others) as wanted (key)
        cross join lateral (
            select p.key from posting as p
            where p.book = in_book and p.key >= wanted.key
            order by p.key
            limit 1
        ) as found
        where found.key = wanted.key
        limit 1;
        if found then
            return null;
        end if;
        perform 1
        from hold as h
        where h.book = in_book and h.expires_at <= moment
        order by h.expires_at
        limit 1;
        if found then
            return null;
        end if;
    end if;
    if cardinality(keys) = 0 then
        return moment;
    end if;
    with written as (
        insert into posting (
            book, number, key, request_hash, transfers, recorded_at, effective_at, reverses, meta,
            imported, pair_book, pair_number
        )
        select
            in_book,
            in_head + p.place,
            p.key,
            p.request_hash,
            coalesce(p.transfers, 1),
            moment,
            p.effective_at,
            p.reverses,
            p.meta::jsonb,
            in_imported,
            in_pair_book,
            in_pair_number
        from
            unnest(keys, request_hashes, counts, effective_times, reversals, metas)
            with ordinality
                as p (key, request_hash, transfers, effective_at, reverses, meta, place)
    )

    insert into transfer (
        book, posting, leg, phase, currency, debit_account, credit_account, amount,
        debit_version, debit_balance_after, debit_pending_after,
        credit_version, credit_balance_after, credit_pending_after,
        pending_posting, pending_leg, pending_amount, expires_at
    )
    select
        in_book,
        t.posting,
        coalesce(t.leg, 0),
        coalesce(t.phase::transfer_phase, 'transfer'),
        t.currency,
        t.debit_account,
        t.credit_account,
        t.amount,
        t.debit_version,
        t.debit_balance_after,
        coalesce(t.debit_pending_after, 0),
        t.credit_version,
        t.credit_balance_after,
        coalesce(t.credit_pending_after, 0),
        t.pending_posting,
        t.pending_leg,
        t.pending_amount,
        t.expires_at
    from
        unnest(
            postings, legs, phases, currencies, debit_accounts, credit_accounts, amounts,
            debit_versions, debit_balances, debit_pendings,
            credit_versions, credit_balances, credit_pendings,
            pending_postings, pending_legs, pending_amounts, expiries
        ) as t (
            posting, leg, phase, currency, debit_account, credit_account, amount,
            debit_version, debit_balance_after, debit_pending_after,
            credit_version, credit_balance_after, credit_pending_after,
            pending_posting, pending_leg, pending_amount, expires_at
        );
    return moment;
end
$$;
revoke execute on function record_batch from public;
grant execute on function record_batch to agio_server;

-- Accounts of a book by their paths and currencies, as the code reads them, for whoever has locked the
-- book or not; no row for one that is not open.
create function accounts_by_key(in_book text, paths text[], currencies text[])
returns setof account_seen
language sql stable
set search_path = public, pg_temp set enable_seqscan = off set enable_bitmapscan = off
set plan_cache_mode = force_generic_plan as $$
    select a.*
    from unnest(paths, currencies) as wanted (path, currency)
    cross join lateral (
        select * from account_seen as seen
        where
            seen.book = in_book and seen.path = wanted.path and seen.currency = wanted.currency
        limit 1
    ) as a
$$;
revoke execute on function accounts_by_key from public;
grant execute on function accounts_by_key to agio_server;

-- How a posting was looked up by its number, or its key, left the planner a choice between indexes
-- that begin with the book. While it knows little of the table it may take the wrong one, which is as
-- long as the book, and keep it. The first from there on, in their order, is found by one index alone.
-- Else these two do what they did; the second has nothing to do, as a rule, and sees it first.

-- Transfers continue both of their accounts, whose counters move with them. Along an account's new
-- entries each balance differs from the one before by what the entry says, and the first from what
-- the account has; so do the pendings of each side.
create or replace function continue_accounts() returns trigger
language plpgsql security definer
set search_path = public, pg_temp set enable_seqscan = off set enable_hashjoin = off
set enable_mergejoin = off as $$
declare
    sound boolean;
begin
    with side as (
        select
            n.debit_account as account,
            n.book,
            n.currency,
            n.posting,
            n.leg,
            true as debit,
            n.debit_version as version,
            n.debit_balance_after as balance_after,
            n.debit_pending_after as pending_after,
            case when n.phase in ('transfer', 'post') then n.amount else 0 end as posted,
            case n.phase
                when 'transfer' then 0 when 'pending' then n.amount else -n.pending_amount
            end as pending
        from new_transfer as n
        union all
        select
            n.credit_account as account,
            n.book,
            n.currency,
            n.posting,
            n.leg,
            false as debit,
            n.credit_version as version,
            n.credit_balance_after as balance_after,
            n.credit_pending_after as pending_after,
            case when n.phase in ('transfer', 'post') then n.amount else 0 end as posted,
            case n.phase
                when 'transfer' then 0 when 'pending' then n.amount else -n.pending_amount
            end as pending
        from new_transfer as n
    ),

    stepped as (
        select
            s.*,
            case when s.debit then s.posted else -s.posted end as increase,
            s.version - lag(s.version) over running as version_step,
            s.balance_after - lag(s.balance_after) over running as balance_step,
            s.pending_after - lag(s.pending_after) over of_side as pending_step
        from side as s
        window
            running as (partition by s.account order by s.posting, s.leg),
            of_side as (partition by s.account, s.debit order by s.posting, s.leg)
    ),

    change as (
        select
            s.account,
            min(s.book) as book,
            max(s.book) as book_too,
            min(s.currency) as currency,
            max(s.currency) as currency_too,
            count(*) as entries,
            coalesce(sum(s.posted) filter (where s.debit), 0)::bigint as debits_posted,
            coalesce(sum(s.posted) filter (where not s.debit), 0)::bigint as credits_posted,
            coalesce(sum(s.pending) filter (where s.debit), 0)::bigint as debits_pending,
            coalesce(sum(s.pending) filter (where not s.debit), 0)::bigint as credits_pending,
            min(s.version) as version,
            -- What the account had before, if it is a debit account, or else a credit account.
            min(s.balance_after - s.increase) filter (where s.version_step is null)
                as balance_of_debits,
            min(s.balance_after + s.increase) filter (where s.version_step is null)
                as balance_of_credits,
            min(s.pending_after - s.pending) filter (where s.debit and s.pending_step is null)
                as debits_pending_before,
            min(s.pending_after - s.pending) filter (where not s.debit and s.pending_step is null)
                as credits_pending_before,
            bool_and(coalesce(s.balance_step = s.increase, true)) as steps_of_debits,
            bool_and(coalesce(s.balance_step = -s.increase, true)) as steps_of_credits,
            bool_and(
                coalesce(s.version_step = 1, true) and coalesce(s.pending_step = s.pending, true)
            ) as steps
        from stepped as s
        group by s.account
    ),

    counted as (
        update account
        set
            debits_posted = account.debits_posted + c.debits_posted,
            credits_posted = account.credits_posted + c.credits_posted,
            debits_pending = account.debits_pending + c.debits_pending,
            credits_pending = account.credits_pending + c.credits_pending,
            version = account.version + c.entries
        from change as c
        where
            account.id = c.account
            and (account.book, account.currency) is not distinct from (c.book, c.currency)
            and (c.book, c.currency) is not distinct from (c.book_too, c.currency_too)
            and account.closed_at is null
            and account.version = c.version - 1
            and c.steps
            and case
                when account.normal = 'debit' then
                    c.steps_of_debits
                    and account.debits_posted - account.credits_posted = c.balance_of_debits
                else
                    c.steps_of_credits
                    and account.credits_posted - account.debits_posted = c.balance_of_credits
            end
            and coalesce(account.debits_pending = c.debits_pending_before, true)
            and coalesce(account.credits_pending = c.credits_pending_before, true)
        returning account.id
    )

    select (select count(*) from counted) = (select count(*) from change) into sound;
    if not sound then
        raise exception 'a transfer does not continue its accounts'
            using errcode = 'check_violation', constraint = 'transfer_continues_its_accounts';
    end if;
    perform 1
    from new_transfer as n
    left join lateral (
        select
            posting.number,
            posting.transfers
        from posting
        where posting.book = n.book and posting.number >= n.posting
        order by posting.number
        limit 1
    ) as p on true
    where p.number is distinct from n.posting or n.leg >= p.transfers;
    if found then
        raise exception 'a transfer is none of its posting''s'
            using errcode = 'check_violation', constraint = 'transfer_has_its_posting';
    end if;
    return null;
end
$$;

-- A hold is open from its transfer to the one that ends it, which is like it. Only time, as it is
-- recorded, lets one expire, and after that nothing else ends it.
create or replace function continue_holds() returns trigger
language plpgsql security definer
set search_path = public, pg_temp set enable_seqscan = off set enable_hashjoin = off
set enable_mergejoin = off as $$
declare
    ended bigint;
    due bigint;
begin
    perform 1 from new_transfer as n where n.phase <> 'transfer' limit 1;
    if not found then
        return null;
    end if;
    insert into hold (book, posting, leg, expires_at)
    select n.book, n.posting, n.leg, n.expires_at
    from new_transfer as n
    where n.phase = 'pending';
    select count(*) into due from new_transfer as n where n.pending_posting is not null;
    if due = 0 then
        return null;
    end if;
    with released as (
        delete from hold
        using
            transfer as t,
            new_transfer as n
            cross join lateral (
                select
                    posting.number,
                    posting.recorded_at
                from posting
                where posting.book = n.book and posting.number >= n.posting
                order by posting.number
                limit 1
            ) as p
        where
            (hold.book, hold.posting, hold.leg) = (n.book, n.pending_posting, n.pending_leg)
            and (t.book, t.posting, t.leg) = (n.book, n.pending_posting, n.pending_leg)
            and p.number = n.posting
            and (t.debit_account, t.credit_account, t.currency, t.amount)
            = (n.debit_account, n.credit_account, n.currency, n.pending_amount)
            and (n.phase = 'expire') = coalesce(t.expires_at <= p.recorded_at, false)
        returning 1
    )
    select count(*) into ended from released;
    if ended <> due then
        raise exception 'a transfer breaks transfer_ends_an_open_hold'
            using errcode = 'check_violation', constraint = 'transfer_ends_an_open_hold';
    end if;
    return null;
end
$$;
