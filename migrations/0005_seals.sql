-- Seals, by which a change of what is recorded is found, and the loads of past postings.
--
-- A seal covers a range of a book's postings and everything before it: its head is the hash of the
-- head before and of the range's content (docs/seals.md says of what exactly). Whoever keeps a head
-- elsewhere can tell whether the book still begins with what it covered.

create table seal (
    book text collate "C" not null,
    first bigint not null check (first >= 1),
    last bigint not null,
    -- The last posting of the seal before; null where there is none.
    follows bigint generated always as (nullif(first - 1, 0)) stored,
    content bytea not null check (length(content) = 32),
    previous bytea not null,
    head bytea not null,
    sealed_at timestamptz not null,
    primary key (book, first),
    unique (book, last, head),
    constraint seal_has_postings check (last >= first),
    constraint seal_chains check (head = sha256(previous || content)),
    constraint seal_begins check (first > 1 or previous = decode(repeat('00', 32), 'hex')),
    constraint seal_follows foreign key (book, follows, previous) references seal (book, last, head),
    constraint seal_of_postings foreign key (book, last) references posting (book, number)
);
create trigger seal_append_only before update or delete or truncate on seal
for each statement execute function refuse_change();

grant select on seal to agio_server;
grant insert (book, first, last, content, previous, head, sealed_at) on seal to agio_server;

-- Loads of past postings. -------------------------------------------------------------------------

-- Each load of a file into a book, once it came to the file's end.
create table import_run (
    id bigint generated always as identity primary key,
    book text not null references book,
    -- The file's name, without its folder.
    source text not null check (length(source) between 1 and 255),
    -- Lines of the file: posted now, posted before under the same key, or refused.
    posted bigint not null check (posted >= 0),
    found bigint not null check (found >= 0),
    refused bigint not null check (refused >= 0),
    -- The number of the book's last posting then.
    head bigint not null check (head >= 0),
    -- What the book was to come to, and what it came to: by currency and kind of account how many
    -- postings touched one, what was debited and what the balances are, in minor units.
    wanted jsonb not null,
    has jsonb not null,
    matched boolean generated always as (wanted = has) stored,
    finished_at timestamptz not null default clock_timestamp()
);
create index import_run_by_book on import_run (book, id);
create trigger import_run_append_only before update or delete or truncate on import_run
for each statement execute function refuse_change();

-- A book is never made to take past postings again, and takes present ones only once what was
-- loaded is what there was to load.
create function guard_mode() returns trigger language plpgsql as $$
begin
    if new.mode = 'importing' or old.mode = 'closed' or (
        new.mode = 'live'
        and not coalesce(
            (
                select r.refused = 0 and r.matched and r.head = new.head
                from import_run as r
                where r.book = new.id
                order by r.id desc
                limit 1
            ),
            false
        )
    ) then
        raise exception 'book % does not go from % to %', new.id, old.mode, new.mode
            using errcode = 'restrict_violation', constraint = 'book_mode_goes_one_way';
    end if;
    return new;
end
$$;
create trigger book_mode_goes_one_way before update of mode on book
for each row when (old.mode <> new.mode) execute function guard_mode();

revoke execute on function guard_mode() from public;
grant select on import_run to agio_server;
grant insert (book, source, posted, found, refused, head, wanted, has) on import_run to agio_server;
grant insert (mode) on book to agio_server;
