"""The ledger's bounds: each with its reason."""

from typing import Final

# As in every other API of ours.
KEY_CHARACTERS_MAX: Final = 255

# The database's CHECK says the same.
PATH_CHARACTERS_MAX: Final = 255

# A posting is decided and written as one; a sale with its fees, taxes and shares has about ten.
TRANSFERS_A_POSTING_MAX: Final = 1_000

# What a posting carries for its caller, as JSON and as it is kept; the database's CHECK says the
# same of the latter.
META_BYTES_MAX: Final = 4_096
META_STORED_BYTES_MAX: Final = 8_192

# How deep it nests: whoever walks it does so by calls within calls.
META_DEPTH_MAX: Final = 64

# Transfers in one page of a book's postings: some 300 KB of JSON. A page has one posting at least.
TRANSFERS_A_PAGE_MAX: Final = 1_000

# Transfers in the one answer to many postings, some 200 bytes each: more than any body says. But
# reversals are told with transfers that no body said, a thousand for 40 bytes.
ANSWER_TRANSFERS_MAX: Final = 200_000

# Books whose line a node remembers, some 200 bytes each.
BOOKS_KNOWN_MAX: Final = 10_000

# A card's authorisation holds for 7 to 30 days: a year is beyond any hold that is not forgotten.
EXPIRES_AFTER_S_MAX: Final = 366 * 24 * 3600

# Of a counter, posted and pending together: half a bigint, so that no difference passes one. The
# database's CHECK says the same.
COUNTER_MAX: Final = 2**62 - 1

# Of a rate's parts: the product with an amount stays an exact integer in any case.
RATE_PART_MAX: Final = 10**15

# Of a poster: to decide so many takes the trio loop some 3 ms.
TRANSFERS_A_BATCH_MAX: Final = 128

# That are decided while PostgreSQL records those before them: as many as take a millisecond to
# decide. Fewer gain nothing by it, and are better decided with those who come meanwhile.
POSTINGS_AHEAD_MIN: Final = 32

# That are posted, or loaded, before more is read of what asks for them.
TRANSFERS_A_SHARE_MAX: Final = 1_000

# As how many of them a reversal counts before it is known what it reverses: of the largest, so few
# fit a batch that it ends well within a statement's time.
REVERSAL_COUNTS: Final = 50

# A poster that died in the middle is asked once more: what was posted is found under its key.
POST_TRIES_MAX: Final = 2

# Books whose due holds one sweep ends; the next one is a second away.
BOOKS_A_SWEEP_MAX: Final = 100

# Postings that may wait for a book's poster: more are told at once that it is busy.
POSTINGS_WAITING_MAX: Final = 20_000

# Accounts that a poster remembers of its book, some 300 bytes each; past that it begins anew.
ACCOUNTS_REMEMBERED_MAX: Final = 100_000

# Books with a poster at once, and how long a poster that nobody asks stays.
POSTERS_MAX: Final = 1_000
POSTER_IDLE_S: Final = 60.0

# A posting between books is answered in milliseconds; a PostgreSQL that restarts takes seconds.
POST_S: Final = 10.0

# Holds that expired are ended by the next batch of their book, and at the latest by this sweep.
EXPIRY_SWEEP_S: Final = 1.0
EXPIRIES_A_BATCH_MAX: Final = 500

# Moves between books that hold a connection at once, while they wait for their books: a part of the
# pool, so that posters and readers have the rest. And how many may wait for one of these places.
INTERLINE_AT_ONCE_MAX: Final = 2
INTERLINE_WAITING_MAX: Final = 1_000

# Patterns in one chart. A path that a poster meets for the first time is held against each.
PATTERNS_MAX: Final = 200

# Postings and transfers of one seal: PostgreSQL writes them out in memory, some 300 bytes each, to
# hash them. One posting is never cut, and has no more transfers than a smallint counts.
SEAL_POSTINGS_MAX: Final = 1_000
SEAL_TRANSFERS_MAX: Final = 10_000
SEAL_ROWS_MAX: Final = 2**15 + SEAL_TRANSFERS_MAX

# Postings are sealed within about so many seconds: each sweep leaves a seal a book that was posted
# to, 320 bytes.
SEAL_SWEEP_S: Final = 10.0

# Books that a sweep is told of at once, and seals that one book has in a sweep before the others
# have theirs.
SEAL_BOOKS_A_READ: Final = 100
SEALS_A_TURN: Final = 100

# Seals that one block of a verification follows: some 200 ms, and no snapshot is held for longer.
SEALS_A_READ: Final = 10

# Watching accounts --------------------------------------------------------------------------------

# Entries that a client which comes back is given one by one: some 700 bytes each, a third of what
# may wait for it. Beyond this a snapshot is smaller and sooner.
ACCOUNT_REPLAY_MAX: Final = 500

# Accounts that somebody on one node watches: half a kilobyte each, and a few microseconds of the
# database whenever their book has moved.
ACCOUNTS_WATCHED_MAX: Final = 20_000

# Accounts that are looked at in one read, and entries of each: a few milliseconds as a rule, at
# most some 100.
TAILS_A_READ: Final = 100
TAIL_ENTRIES_A_READ: Final = 200

# Seconds between a node's own looks at the books that are watched: what a lost message costs.
BOOKS_LOOK_S: Final = 1.0

# Seconds between two looks, and between two times of telling other nodes that a book moved: what
# was posted meanwhile is read, and told, together.
BOOKS_REST_S: Final = 0.01

# Rows that a report holds at once: a read of this size takes the annex a few milliseconds.
REPORT_ROWS_A_READ: Final = 500

# A row of a load: a posting of as many transfers as it may have, with the longest of paths.
ROW_BYTES_MAX: Final = 2**20

# Rows that a load reads at once and posts in a block, if they have no more transfers than a batch.
ROWS_A_BATCH_MAX: Final = 500
