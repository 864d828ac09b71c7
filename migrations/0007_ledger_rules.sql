-- What the ledger's tables refuse besides, and by which name.

-- An account begins at nothing, which is to be within the limits of its pattern: one of another kind
-- failed whole batches of postings. Nothing was ever opened by such a pattern.
update chart
set floor = least(floor, 0), ceiling = greatest(ceiling, 0)
where floor > 0 or ceiling < 0;
alter table chart
drop constraint chart_floor_below_ceiling,
add constraint chart_lets_accounts_begin check (floor <= 0 and ceiling >= 0);

-- The standard chart is a function by itself; a new book is given it whoever made the book.
drop trigger book_has_chart on book;
drop function give_standard_chart();
create function give_standard_chart(given_book text) returns void language sql as $$
    insert into chart (book, pattern, kind)
    values
        (given_book, 'gateway:*:clearing', 'asset'),
        (given_book, 'bank:*', 'asset'),
        (given_book, 'due-from:*', 'asset'),
        (given_book, 'due-to:*', 'liability'),
        (given_book, 'seller:{owner}:payable', 'liability'),
        (given_book, 'customer:{owner}:credit', 'liability'),
        (given_book, 'tax:*:payable', 'liability'),
        (given_book, 'shipping:payable', 'liability'),
        (given_book, 'refund:clearing', 'liability'),
        (given_book, 'opening', 'equity'),
        (given_book, 'conversion:liquidity', 'equity'),
        (given_book, 'conversion:spread', 'revenue'),
        (given_book, 'commission', 'revenue'),
        (given_book, 'expense:*', 'expense');
$$;
create function begin_with_standard_chart() returns trigger
language plpgsql security definer set search_path = public, pg_temp as $$
begin
    perform give_standard_chart(new.id);
    return null;
end
$$;
create trigger book_has_chart after insert on book
for each row execute function begin_with_standard_chart();

-- Whoever remembers a book's accounts is told of what is no posting, whoever changed it.
create function move_revision() returns trigger
language plpgsql security definer set search_path = public, pg_temp as $$
begin
    update book set revision = revision + 1 where id = new.book;
    return null;
end
$$;
create trigger account_moves_revision after update on account
for each row when (
    (old.floor, old.ceiling, old.closed_at) is distinct from (new.floor, new.ceiling, new.closed_at)
)
execute function move_revision();

revoke execute on function give_standard_chart, begin_with_standard_chart, move_revision from public;

-- Holds, too, change by what is posted alone.
create or replace function refuse_recount() returns trigger language plpgsql as $$
begin
    raise exception '% changes only by what is posted', tg_table_name
        using errcode = 'restrict_violation';
end
$$;
create trigger hold_follows_transfers before insert or update or delete or truncate on hold
for each statement when (pg_trigger_depth() = 0) execute function refuse_recount();

-- Nothing is recorded in the future: the database's clock says when, not who inserts.
create or replace function continue_books() returns trigger
language plpgsql security definer
set search_path = public, pg_temp set enable_seqscan = off set enable_hashjoin = off
set enable_mergejoin = off as $$
declare
    sound boolean;
begin
    with recorded as (
        select
            p.book,
            min(p.number) as first,
            max(p.number) as last,
            count(*) as postings,
            sum(p.transfers) as transfers,
            min(p.recorded_at) as recorded_at,
            max(p.recorded_at) as recorded_last,
            min(coalesce(p.effective_at, p.recorded_at)) as effective_at,
            case when bool_and(p.imported) then 'importing' when not bool_or(p.imported) then 'live' end
                as mode
        from new_posting as p
        group by p.book
    ),

    continued as (
        update book
        set head = r.last, recorded_at = r.recorded_at
        from recorded as r
        where
            book.id = r.book
            and book.head = r.first - 1
            and r.last - r.first + 1 = r.postings
            and r.recorded_at = r.recorded_last
            and r.recorded_at >= book.recorded_at
            -- The database's clock says when, not who inserts.
            and r.recorded_at <= greatest(clock_timestamp(), book.recorded_at)
            and r.effective_at >= book.locked_before
            and r.mode = book.mode
            and r.transfers = (
                select count(*) from transfer as t
                where t.book = r.book and t.posting between r.first and r.last
            )
        returning book.id
    )

    select (select count(*) from continued) = (select count(*) from recorded) into sound;
    if not sound then
        raise exception 'a posting does not continue its book'
            using errcode = 'check_violation', constraint = 'posting_continues_its_book';
    end if;
    return null;
end
$$;

-- Rules have names that say what they are, and keys those of their tables.
alter table posting rename constraint posting_check to posting_effective_when_recorded;
alter table posting rename constraint posting_check1 to posting_check;
alter table posting rename constraint posting_pkey1 to posting_pkey;
alter table transfer rename constraint transfer_amount_check1 to transfer_amount_in_range;
alter table transfer rename constraint transfer_check1 to transfer_expires_if_held;
alter table transfer rename constraint transfer_pkey1 to transfer_pkey;
