"""Every bound of this layer, named, with its reason. `Limits` are those of one endpoint."""

from dataclasses import dataclass, field
from typing import Final

from channels.client_address import Network
from channels.client_limits import ClientLimits

# Binary V2 frames carry each of these lengths in one byte, so text frames may not go beyond it.
NAME_BYTES_MAX: Final = 255

# So many characters are never more bytes than that. Clients count from 1, or send a UUID.
REF_CHARACTERS_MAX: Final = 63

# Two lists or maps deep is more than any client library sends: `a[b][c]=d`.
QUERY_DEPTH_MAX: Final = 3

# A browser's whole URL stays under 8 KB; nobody needs more pairs than this.
QUERY_PAIRS_MAX: Final = 64

# The head of a request, as other servers bound it: cookies and a token fit.
HEAD_BYTES_MAX: Final = 16_384

# One read takes what a socket buffer usually holds: fewer reads under load, freed when idle.
RECEIVE_BYTES: Final = 65_536

# What the writer hands to the socket at once. Smaller pieces tell progress sooner, so that a slow
# but moving reader is not mistaken for one that stands still.
WRITE_BYTES: Final = 65_536

# Messages that trio-websocket may hold decoded: the lane waits for each, so one is never exceeded.
DECODED_MESSAGES_MAX: Final = 1

# Seconds for the last word to a client that broke the protocol's rules: it may not read either.
LAST_WORD_S: Final = 0.5

# Sockets read between two laps of the node's loop: a millisecond or two of messages.
READS_A_TURN: Final = 256

# Clients whose own task is woken in such a turn, for what takes a wait: nearly always a goodbye,
# which takes a task some thirty steps. When a thousand leave at once, this many at a time keep a
# lap of the loop at some ten milliseconds.
WAKES_A_TURN: Final = 8

# Bytes read that count as much as one such task: some 200 small messages, which take 2 ms. A client
# that sends a whole buffer of them is alone in its turn.
READ_COST_BYTES: Final = 8_192

# Channels of one connection that gave way to others and have not ended yet. A join waits for the
# end of all of its topic before it, so a burst costs its square: this many take milliseconds.
ENDING_MAX: Final = 100

# How often the flusher lets publishers go on before it sends. Each turn is two laps of the trio
# loop; beyond this many, latency would grow and no send would be saved.
FLUSH_TURNS_MAX: Final = 32

# Sends between two checkpoints of the flusher: about a millisecond, so that a broadcast to ten
# thousand members does not hold up anybody's heartbeat.
FLUSH_SENDS_A_TURN: Final = 512

# Bytes of messages to one topic that are joined into one piece before they reach the outboxes.
# A quarter of a socket buffer: more would not save a system call.
RUN_BYTES_MAX: Final = 65_536

# Bytes that wait for all members of a node before they are put into the outboxes, which are bounded
# one by one: as much as one outbox holds.
PENDING_BYTES_MAX: Final = 1_048_576

# Where there is no room, the oldest messages of a topic that allows it are dropped, and a part of
# the outbox is freed at once: one in so many. Without slack, each message would look anew for
# something to drop.
OUTBOX_SLACK: Final = 8

# Messages that wait for one channel. Beyond it pushes are answered `busy`: a client that is this
# far ahead of its channel gains nothing from waiting longer.
MAILBOX_CAPACITY: Final = 256

# Messages that wait for the bus between nodes. At its 50,000 messages a second this is a fifth of a
# second; longer would be stale news. Beyond it the newest is dropped, and counted.
BUS_QUEUE_MAX: Final = 10_000

# Messages handed to the bus in one go: one crossing to the annex and one pipeline.
BUS_BATCH_MAX: Final = 512

# How long messages wait for others to go to the bus with, while they come faster than one by one.
# A batch costs both threads some 0.1 ms, so this is a tenth of a core at most.
BUS_GATHER_S: Final = 0.001

# Clients that a drained node sends to the others in a second, and the shortest time over which they
# come back, however few they are. A core takes some thousand who connect and join.
DRAIN_RETURNS_A_SECOND: Final = 1_000
DRAIN_WINDOW_MIN_S: Final = 1.0

# How long a join waits for the bus to say that it listens. Beyond this the node goes on alone,
# and the subscription follows when the bus is back.
BUS_SUBSCRIBE_S: Final = 1.0

# Clients looked at between two checkpoints, when access is taken away: half a millisecond.
ACCESS_CLIENTS_A_TURN: Final = 1_000

# Long polling -------------------------------------------------------------------------------------

# Messages of one POST that are taken, as Phoenix: its clients send no more at once.
LONGPOLL_LINES_MAX: Final = 100

# Messages of one POST between two checkpoints: a millisecond at most.
LONGPOLL_LINES_A_TURN: Final = 16

# Bytes of messages in one answer, but for one larger message: what a slow phone reads in the time
# that a response has. The next poll follows at once.
LONGPOLL_ANSWER_BYTES: Final = 262_144

# Windows without a poll after which a session is over, as Phoenix: a client polls again at once.
LONGPOLL_IDLE_WINDOWS: Final = 1.5

# Sessions of one node: each keeps a request open, and costs as much as another connection.
LONGPOLL_SESSIONS_MAX: Final = 10_000

# Requests that other nodes have passed on to this one and that it has not answered: of every
# session a poll and a POST.
LONGPOLL_RELAYED_MAX: Final = 2 * LONGPOLL_SESSIONS_MAX

# How long another node may take to say that it has heard, and beyond what it takes to answer.
# As Phoenix.
LONGPOLL_RELAY_S: Final = 2.0

# Presence -----------------------------------------------------------------------------------------

# How long changes of a topic's people are gathered before they are told: people who come together
# are told of in one diff, and nobody sees the delay.
PRESENCE_DIFF_S: Final = 0.1

# Metas of the largest topic that is listed. Each change is told to all, so with lists a topic of
# this many costs its square: 200 who join at once are told 40,000 metas, 4 MB. Pusher's bound is
# 100, and no screen shows more.
PRESENCE_LISTED_MAX: Final = 200

# How often a large topic is told its count at most, and how many clients of a node are told one in
# a second: a twentieth of what a core delivers.
PRESENCE_COUNT_S: Final = 1.0
PRESENCE_COUNTS_A_SECOND: Final = 5_000

# What one client is told about another: a name, a picture's address, a state. Larger things are
# asked for when they are needed, and not sent to all.
PRESENCE_META_BYTES_MAX: Final = 2_048

# Keys of one channel. One is usual: who the client is.
PRESENCE_KEYS_A_CHANNEL_MAX: Final = 16

# Topics told between two checkpoints: a millisecond or two.
PRESENCE_TOPICS_A_TURN: Final = 64

# How often a node says that it lives, and how long it may be silent: five beats may be lost. It is
# noticed at the next beat, and told with the counts at the latest: before 5 s have passed.
PRESENCE_BEAT_S: Final = 0.5
PRESENCE_LEASE_S: Final = 3.0

# How long the answer to a question between nodes may take before it is asked again.
PRESENCE_ASK_S: Final = 1.0

# Metas in one message between nodes, and between two checkpoints: a millisecond of work, and at
# most half a megabyte on the bus.
PRESENCE_PIECE: Final = 256

# Deltas that are kept for nodes that missed some: some six seconds of them. Who missed more
# gets the whole.
PRESENCE_HISTORY: Final = 64

# Messages of other nodes that wait to be acted upon: the wholes of ten nodes with 100,000 people.
PRESENCE_INBOX_MAX: Final = 4_096

# Nodes beside this one. More than anybody runs on one bus; it bounds what a stranger on the bus
# could make this node keep.
PRESENCE_NODES_MAX: Final = 256


# Limits on clients -------------------------------------------------------------------------------

# Topics of one connection and bytes of one message where their limits are not enforced: so many
# that they are in nobody's way, and few enough for one client not to hurt a node.
TOPICS_CEILING: Final = 1_024
MESSAGE_BYTES_CEILING: Final = 1_048_576

# What a client may send at once, in seconds of its rate: a page that connects says all it has to
# say first, and joins all its topics.
RATE_BURST_S: Final = 5.0

# The same of the node: whoever comes in one second is let in at once, up to its rate.
NODE_BURST_S: Final = 1.0

# Messages beyond the rate, without a rest between, after which a connection is closed: answering
# them costs what they would have cost.
EXCESS_MAX: Final = 500

# Joins of one node that are under way at once: twice the connections to the database, so that none
# of these rests. A heartbeat waits for a step of each, and a purchase in the queue for the database
# for an answer of each: with ten thousand joins at once the slowest takes 0.8 s, and without a
# bound 7.5 s.
JOINS_AT_ONCE: Final = 32

# Joins of one node that wait for their turn. At a thousand a second, which is a slow database, the
# last of them waits for 4 s: clients give up after 10.
JOINS_WAITING_MAX: Final = 4_096

# How long a join counts as under way. With a database at hand it takes milliseconds: one that takes
# longer waits for something else, and others need not wait with it.
JOIN_PATIENCE_S: Final = 0.5

# When a client is told to come back that the node has no room for now, at the least.
BUSY_S: Final = 1.0

# And at the most, however many come: the vanilla client tries every 10 s whatever it is told.
RETRY_AFTER_S_MAX: Final = 30.0

# In what time failed joins are forgotten. Phoenix's client tries every 10 s for as long as its page
# is open; with ten allowed in this time, every third of these reaches the application.
FAILED_JOINS_S: Final = 300.0

# Topics of one connection whose failed joins are remembered: as many as it may join.
FAILING_TOPICS_MAX: Final = 100

# How often it is told in the log that a limit is exceeded, with how often it was.
LIMIT_TOLD_S: Final = 10.0

# History ------------------------------------------------------------------------------------------

# Messages of one topic that are kept. A client that missed more has been away for long, and reads
# a page faster than a thousand messages.
HISTORY_SIZE_MAX: Final = 1_000

# Bytes of them: half of a client's outbox, since a join may be answered with all of them.
HISTORY_BYTES_MAX: Final = 524_288

# Topics whose history a node that is alone keeps in memory: at 10 KB each, 100 MB.
HISTORY_TOPICS_MAX: Final = 10_000

# Bytes of chance in the name of an epoch: two that meet by accident would need a million of them.
HISTORY_EPOCH_BYTES: Final = 5

# Live messages of one topic that wait for what is before them. One read brings the rest.
HISTORY_AHEAD_MAX: Final = 256

# How long a publisher waits for a history that is away, and how soon it is tried again: a server
# that is started anew is back within it. Then the message is refused, and its sender knows.
HISTORY_APPEND_S: Final = 5.0
HISTORY_RETRY_FIRST_S: Final = 0.05
HISTORY_RETRY_CEILING_S: Final = 1.0

# For how long the same message may come again without being appended twice: as long as it is tried,
# and as long again for the last try's answer.
HISTORY_AGAIN_S: Final = 30.0

# Messages that wait to be appended, and their bytes: a fifth of a second of them. Beyond it a
# message is refused.
HISTORY_QUEUE_MAX: Final = 10_000
HISTORY_QUEUE_BYTES_MAX: Final = 8_388_608

# Messages appended in one go: one crossing to the annex and one pipeline.
HISTORY_BATCH_MAX: Final = 256

# Histories read in one go: each is at most `HISTORY_BYTES_MAX`, and most reads are of one message.
HISTORY_READS_MAX: Final = 16

# Heads read in one go.
HISTORY_HEADS_MAX: Final = 512

# How long a gap may close by itself before it is read from the history: what comes by another way,
# as the answer to one's own publishing, overtakes what is on the bus by a millisecond or two.
HISTORY_GRACE_S: Final = 0.05

# How often a node compares what its members were given with the heads of the histories; each time
# is drawn between these, so that nodes do not ask together. It is how late a message can be that
# was lost without a sign. Centrifugo's is 40 s.
HISTORY_CHECK_MIN_S: Final = 25.0
HISTORY_CHECK_MAX_S: Final = 40.0

# How often it looks for a sign that something was lost, upon which it compares at once, and once
# more: subscriptions are renewed a moment after a connection.
HISTORY_SIGN_S: Final = 1.0
HISTORY_SIGN_CHECKS: Final = 2


@dataclass(frozen=True, slots=True)
class Limits:
    """What one endpoint allows. Bytes are bytes, `_s` are seconds.

    Attributes:
        message_bytes: one inbound message; larger ones close the connection with 1009. A client
            can make the server hold one half-sent message of this size, so it is kept small.
        outbox_bytes: what may wait for one client that reads too slowly. It holds a snapshot and
            a whole replay; Centrifugo's default is the same.
        held_messages: broadcasts kept for one member while its join is under way.
        held_frames: frames of one topic kept while its join is under way.
        channels: topics of one connection, as Phoenix.
        malformed: frames that are no messages before the connection is closed. A client with one
            bad frame lives on; one that speaks another protocol is told soon.
        handshake_s: from the first byte to the upgrade, the application's `connect` included.
        join_s: for a channel's `join`: the client itself gives up after 10 s.
        idle_s: without a byte from the client, who sends a heartbeat every 30 s. As Phoenix.
        poll_s: that a poll waits for messages. As Phoenix, whose client gives up after 20 s.
        close_s: for the closing handshake. A client that is gone never answers.
        terminate_s: for a channel's `terminate`, then it is cancelled. As Phoenix.
        expiry_warning_s: before a client's time is over it is told so: enough for an application to
            fetch a new token, and to try again once it could not.
        renewal_s: between two new tokens of one client. Each is verified and has every channel ask
            whether the client may stay, which may cost a query each.
        drain_s: for closing every connection on shutdown.
        drain_batch: connections closed at once when draining: clients that do not heed when they
            are told to come back come together, and this is what one node can take.
        drain_interval_s: between two batches.
        clients: what an operator allows clients.
        trusted_proxies: those whose `X-Forwarded-For` is believed.
    """

    message_bytes: int = 131_072
    outbox_bytes: int = 1_048_576
    held_messages: int = 1_024
    held_frames: int = 64
    channels: int = 100
    malformed: int = 10
    handshake_s: float = 10.0
    join_s: float = 10.0
    idle_s: float = 60.0
    poll_s: float = 10.0
    close_s: float = 2.0
    terminate_s: float = 5.0
    expiry_warning_s: float = 60.0
    renewal_s: float = 1.0
    drain_s: float = 3.0
    drain_batch: int = 500
    drain_interval_s: float = 0.1
    clients: ClientLimits = field(default_factory=ClientLimits)
    trusted_proxies: tuple[Network, ...] = ()
