"""Every bound of the product, named, with its reason. The lower layers have their own `limits`."""

from typing import Final

# Events a rejoining client is given one by one. Beyond this a fresh snapshot is smaller and sooner.
REPLAY_EVENTS_MAX: Final = 1_000

# Rows of one page of a REST listing: one response stays under 100 KB.
PAGE_ROWS_MAX: Final = 100

# Rows that a ledger check holds at once: a read of this size takes the annex a few milliseconds.
CHECK_ROWS_A_READ: Final = 1_000

# Seconds that one statement of a ledger check may run: it reads every entry there is.
CHECK_STATEMENT_S: Final = 3_600.0

# Violations of one kind that a check reports. One is too many already; a screenful shows the shape.
VIOLATIONS_MAX: Final = 100

# Pieces in one purchase, in a new listing, in one restock: no cart and no delivery is larger.
QUANTITY_MAX: Final = 1_000_000

# Characters of an idempotency key or a payment method; Stripe's own bound on a key.
CHECKOUT_TEXT_MAX: Final = 255

# Seconds that stock is held for a purchase whose payment has no outcome. Longer than a provider's
# worst answer, short enough that a lost payment does not empty the shelf for the evening.
RESERVATION_S: Final = 600.0

# Messages that HTTP callers send ------------------------------------------------------------------

# Messages in one request: an announcement in each of a line's sales of one evening.
MESSAGES_A_REQUEST_MAX: Final = 100

# Bytes of one message's payload, as JSON. It goes to everybody in the topic: to 10,000 at once that
# is 160 MB, and a client that reads slowly has room for some 60 of them.
MESSAGE_BYTES_MAX: Final = 16_384

# Access: who may not call any more ----------------------------------------------------------------

# Seconds between a node's own looks for revocations: what a lost message costs. A revoked session's
# sockets are closed within a second, the read and the closing included.
REVOCATIONS_LOOK_S: Final = 0.5

# Seconds between two such looks at least, however many are revoked: each looks at all connections,
# a few milliseconds for ten thousand.
REVOCATIONS_REST_S: Final = 0.1

# Revocations read, or forgotten, in one go: a few milliseconds.
REVOCATIONS_A_READ: Final = 1_000

# Revocations of one line that are remembered, each until its token would have run out: some 30 MB
# of a node's memory. With tokens of eight hours that is three that sign out each second.
REVOCATIONS_A_LINE_MAX: Final = 100_000

# Seconds between two times of forgetting what no longer matters: 200 a second in all, far more than
# are made.
REVOCATIONS_FORGET_S: Final = 5.0

# HTTP ---------------------------------------------------------------------------------------------

# Bytes of a request's head, and seconds for it to arrive. No browser sends more; a client that
# sends slower is holding a connection, not making a request.
HEAD_BYTES_MAX: Final = 16 * 1024
HEAD_S: Final = 10.0

# Bytes of a request's body, its seconds to arrive, and how deep its JSON may nest. Ours are flat
# and below 1 KB: this is room for a hundred times that.
BODY_BYTES_MAX: Final = 64 * 1024
BODY_S: Final = 10.0
BODY_DEPTH_MAX: Final = 8

# Larger bodies under way on one node, of the routes that take them: with what is made of each some
# 30 MB, so half a gigabyte in all.
LARGE_BODIES_MAX: Final = 16

# Things in one body that takes many, and its bytes: as many postings as one block should commit,
# at 800 bytes, which is a dozen transfers each.
ITEMS_MAX: Final = 10_000
ITEMS_BODY_BYTES_MAX: Final = 8 * 1024 * 1024

# Bytes of such things that are read before others have a turn: a few milliseconds, the checks of
# the slow way included; and how many, where they are small.
ITEMS_BYTES_A_TURN: Final = 64 * 1024
ITEMS_A_TURN: Final = 100

# Seconds for an answer that is sent as it comes to be: ten times what the most postings take.
STREAM_S: Final = 60.0

# Bytes of what a client that polls sends at once: a hundred messages of 10 KB, and as much as may
# wait for it in the other direction.
LONGPOLL_BODY_BYTES_MAX: Final = 1024 * 1024

# Seconds an idle HTTP connection is kept. Above the 60 of common proxies, so that it is they who
# close, and never send a request into a connection that is going away.
KEEP_ALIVE_S: Final = 75.0

# Requests under way on one HTTP/2 connection: a browser opens six connections for less.
HTTP2_STREAMS_MAX: Final = 32

# Seconds for a peer to take what was written to it. A response is below 100 KB; a reader that
# needs longer is gone.
WRITE_S: Final = 10.0

# Seconds and bytes a finished HTTP connection is read on before it is closed, so that the last
# response is not lost to a reset, as happens when unread bytes lie in the socket.
LINGER_S: Final = 1.0
LINGER_BYTES_MAX: Final = 1024 * 1024

# Connections of one node, whatever they are for: a process has that many descriptors in many
# places, and would be starved of them by more.
CONNECTIONS_MAX: Final = 20_000

# Connections the kernel holds for us until they are accepted: one burst of reconnecting clients.
BACKLOG: Final = 1_024

# Seconds the accept loop rests when the process has run out of file descriptors or memory.
ACCEPT_REST_S: Final = 0.1

# Seconds a request with `min_cursor` waits for this node to see that cursor.
REACH_S: Final = 5.0

# Seconds for one readiness check. An orchestrator's own probe gives up after one.
CHECK_S: Final = 0.8

# Seconds after which a caller refused for the moment may try again.
RETRY_AFTER_S: Final = 1

# Purchases: waiting -------------------------------------------------------------------------------

# Seconds for one call to a payment provider. Stripe advises to wait longer than its slowest banks;
# past this the answer counts as lost, and is looked up.
GATEWAY_CALL_S: Final = 10.0

# Seconds that a caller waits for a purchase: a charge and one look-up, with room for the database.
CHECKOUT_S: Final = 25.0

# Seconds between two look-ups of a lost answer, and charges where nothing was found, doubling from
# the first to the last: soon enough for a buyer who stayed, seldom enough for a provider that is
# down.
HOLD_FIRST_S: Final = 1.0
HOLD_CEILING_S: Final = 10.0

# Seconds after which an open transaction that nobody touched has lost its actor. Longer than the
# longest silence of a living one, which is a charge and a look-up.
RECOVER_IDLE_S: Final = 30.0

# Seconds between two searches for transactions that lost their actor.
RECOVER_EVERY_S: Final = 5.0

# Transactions one such search takes up: a crowd left by a crash is worked off without a stampede.
RECOVER_ROWS_MAX: Final = 200

# Messages waiting at one transaction: its callers ask once each, and it answers without waiting.
TRANSACTION_MAILBOX: Final = 64

# Callers waiting for one transaction's answer. A client repeats a key a few times, not hundreds.
TRANSACTION_CALLERS_MAX: Final = 256

# How often one checkout asks again where a purchase under its key ended as it asked.
CHECKOUT_TRIES_MAX: Final = 3

# Seconds a purchase has to end when the server stops: a charge under way is worth waiting for.
TRANSACTION_SHUTDOWN_S: Final = 4.0

# A transaction's actor stops by itself when its work is done; this long after the last message it
# would go even if that were forgotten.
TRANSACTION_IDLE_S: Final = 60.0

# Events: the relay and the feeds ------------------------------------------------------------------

# Events read and published in one go: some 50 KB, a few milliseconds of the annex.
EVENTS_A_BATCH: Final = 256

# Seconds between two attempts to become the relay's leader: how long the log goes without one.
RELAY_LEAD_S: Final = 1.0

# Seconds after which a leader that was not woken looks by itself, and proves its session.
RELAY_POLL_S: Final = 1.0

# Seconds between a node's own looks at the log's head: the delay that a lost message costs.
FEED_LOOK_S: Final = 1.0

# Batches that wait for a feed. The oldest is dropped beyond it, and read from the database later.
FEED_BATCHES_MAX: Final = 64

# Sales --------------------------------------------------------------------------------------------

# Listings of one sale: each client's join carries all of them, 100 KB at this size.
LISTINGS_MAX: Final = 500

# Pieces of one listing's stock: no shelf holds more, and a restock on top still fits an integer.
STOCK_MAX: Final = 1_000_000_000

# Characters of a sale's or listing's title, as the schema has it.
TITLE_MAX: Final = 200

# Sockets ------------------------------------------------------------------------------------------

# Checkouts under way on one channel. A person buys one thing at a time; a program that buys for
# many over one socket gets this far, at some 10 KB each, before it is told to wait.
CHECKOUTS_A_CHANNEL_MAX: Final = 256

# Characters of one message in a sale's chat: what is read while a sale goes on.
CHAT_TEXT_MAX: Final = 500

# Messages that one client says in a second, and at once: a person's pace, so that nobody fills the
# history, which all share.
CHAT_PER_S: Final = 0.5
CHAT_AT_ONCE: Final = 5

# What is kept of a chat: what a newcomer reads at most, and for as long as it means something. A
# message of 500 characters has at most some 2 KB.
CHAT_HISTORY_SIZE: Final = 100
CHAT_HISTORY_S: Final = 3_600.0
CHAT_HISTORY_BYTES: Final = 262_144

# Seconds that a join of a sale waits for the database. The client gives up after 10, and is better
# told before that.
JOIN_S: Final = 8.0

# Checkouts under way on all channels of a node. Each waits for a payment, a second or so: more than
# this is more than one provider account takes.
CHECKOUTS_MAX: Final = 2_000

# The tree -----------------------------------------------------------------------------------------

# Purchases under way on one node: an actor each, some 10 KB. Beyond it a caller is told to come
# back, which is kinder than a queue that outlives his patience.
TRANSACTIONS_MAX: Final = 10_000

# Seconds beyond the clients' time to leave (AGIO_DRAIN_SECONDS) until a stop cuts what still runs:
# purchases under way and PostgreSQL end within it, and Ctrl-C is over within 5 s.
STOP_MARGIN_S: Final = 2.8

# Seeing the tree ----------------------------------------------------------------------------------

# Children listed of one place: as many as a screen has room for, unless asked for more. A node may
# have 10,000 connections, and at most this many are looked at, so that no look stops the loop.
TREE_CHILDREN_USUAL: Final = 20
TREE_CHILDREN_MAX: Final = 100

# Places in one answer: some 300 bytes each, and a few milliseconds in all.
TREE_PLACES_MAX: Final = 1_000

# Characters of a place's path: names of five generations, each with an idempotency key in it.
TREE_PATH_MAX: Final = 2_048

# Processes ----------------------------------------------------------------------------------------

# Bytes of one line between processes of ours. The longest is a load test's result: a count for each
# of the rooms, or all points of the plot.
LINE_BYTES_MAX: Final = 64 * 1024 * 1024

# Workers of one server: more cores than one machine has for us.
WORKERS_MAX: Final = 64

# How long a worker may take to serve: imports, connections, a look at the schema. A second, longer
# where all cores start one.
WORKER_START_S: Final = 60.0

# Seconds beyond a worker's own deadline until it is killed: it ends by itself before that.
WORKER_SPARE_S: Final = 1.0

# How long a worker has left that is cut down instead of stopped.
WORKER_CUT_S: Final = 0.5

# Questions to one worker at a time, by its siblings: a scraper's, an operator's, a few of each.
LOCAL_QUESTIONS_MAX: Final = 32

# How long a worker may take to answer a sibling: a scraper waits ten seconds for all.
SIBLING_ANSWER_S: Final = 2.0

# Bytes of such an answer: metrics of one process are some 100 KB, a tree is bounded anyway.
SIBLING_ANSWER_BYTES_MAX: Final = 4 * 1024 * 1024

# Tokens whose signature is remembered: those of the clients that come back at once when another
# node stops, at half a kilobyte each. Their times, and whether they are revoked, are always asked.
TOKENS_KNOWN_MAX: Final = 10_000

# Connections that are accepted before others have their turn: some milliseconds' work.
ACCEPTS_A_TURN: Final = 16

# When the garbage collector looks for cycles: after so many new objects, and at older ones so much
# more seldom. Connections are many long-lived objects, and with Python's own thresholds a fifth of
# the time of a connect went into looking through all that are there already.
GC_THRESHOLDS: Final = (20_000, 50, 100)
