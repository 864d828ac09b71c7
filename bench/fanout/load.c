/* load: puts load on a server that speaks Phoenix's protocol (V2), and accounts for all of it.
 *
 * One thread. Every connection joins one of the rooms; the first of each room publishes there, and
 * all of them, the publisher too, are to get each message once and in order. A publisher keeps so
 * many messages on their way (`--window`): the next goes out as soon as fewer deliveries are missing
 * than so many messages make. Or so many messages a second are sent in all rooms, whatever becomes
 * of them (`--rate`); a latency then counts from when a message was due.
 *
 * It prints two lines of JSON: when all have joined, and when the measurement is over.
 *
 * Several of it share a room, on several nodes too, where one publishes and the others `--listen`:
 * those publish nothing, and account for what came until their standard input ends. All clocks of a
 * machine are one, so that the last delivery of a message is the latest of what all of them tell.
 *
 *     --port N --path /socket/websocket?vsn=2.0.0&token=...
 *     --connections N --rooms N --window N | --rate N
 *     --seconds N --warm-up N    of load; with 0 seconds there is none, and no second line
 *     --payload N                bytes of filler in each message
 *     --at-once N                connections between their first packet and their join's reply
 *     --sources N                addresses to connect from: 127.0.0.2 and so on
 *     --stopped N                of the connections; they are no part of the account, see `stop`
 *     --server PID               whose processor time is told
 *     --hold                     wait for the end of standard input after the first line
 *     --listen                   publish nothing, and measure until then
 *     --join-seconds N           that connecting and joining may take
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <getopt.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stddef.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#include "histogram.h"
#include "websocket.h"

#define SECOND 1000000000ull
#define EVENTS_MAX 1024
#define TEXT_MAX 512
#define PAYLOAD_MAX 65536
/* How long the last deliveries may take after the measurement. */
#define DRAIN_S 5
/* Messages of which the last delivery is told. */
#define LASTS_MAX 1000
/* As clients do it, so that no server takes a quiet member for gone. */
#define HEARTBEAT_S 25
/* What fills every buffer between a server and a reader that has stopped, and its outbox. */
#define FLOOD_BYTES (16 << 20)
#define FLOOD_PAYLOAD 60000
#define FLOOD_STEP_MS 2000

enum state { CONNECTING, UPGRADING, JOINING, JOINED, ENDED };

struct connection {
    int fd, number;
    enum state state;
    bool stopped;
    struct room *room;
    uint64_t awaited; /* the number of the message that comes next */
    struct bytes in;  /* the beginning of a frame that is not all there yet */
    struct bytes out; /* what the socket did not take yet */
};

struct room {
    int number, members;
    struct connection *publisher;
    uint64_t sent, delivered;
    char prefix[TEXT_MAX]; /* how each of its messages begins when it comes back */
    size_t prefix_size;
};

static struct {
    int port, connections, rooms, window, payload, at_once, sources, stopped, server, hold, listen;
    int join_seconds;
    double rate, seconds, warm_up;
    const char *path;
} plan = {.connections = 1000, .rooms = 1, .window = 1, .payload = 64, .at_once = 200,
          .sources = 1, .join_seconds = 120, .seconds = 3, .warm_up = 0.5, .path = "/socket/websocket?vsn=2.0.0"};

static struct connection *connections;
static struct room *rooms;
static struct histogram latencies;
static int epoll, timer, started, joined, ended;
static bool loading, measuring;
static uint64_t sent, delivered, again, skipped, strange, next_beat;
static int beats;
static uint64_t lasts[LASTS_MAX]; /* how long each of the first messages took to the last member */
static char filler[PAYLOAD_MAX];

static uint64_t now_ns(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return time.tv_sec * SECOND + time.tv_nsec;
}

/* Processor seconds of the server so far, all its threads; 0 where none was named. */
static double server_seconds(void) {
    char path[64], line[1024] = "";
    unsigned long user = 0, kernel = 0;
    if (plan.server == 0) return 0;
    snprintf(path, sizeof path, "/proc/%d/stat", plan.server);
    FILE *file = fopen(path, "r");
    if (file == NULL) FAIL("there is no process %d", plan.server);
    size_t size = fread(line, 1, sizeof line - 1, file);
    fclose(file);
    char *name_end = memrchr(line, ')', size);
    if (name_end == NULL || sscanf(name_end, ") %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu",
                                   &user, &kernel) != 2)
        FAIL("%s is not as expected", path);
    return (double)(user + kernel) / sysconf(_SC_CLK_TCK);
}

static double own_seconds(void) {
    struct rusage used;
    getrusage(RUSAGE_SELF, &used);
    return used.ru_utime.tv_sec + used.ru_stime.tv_sec +
           (used.ru_utime.tv_usec + used.ru_stime.tv_usec) / 1e6;
}

/* Sending. */

static void watch(struct connection *c, uint32_t events) {
    struct epoll_event event = {.events = events, .data.ptr = c};
    epoll_ctl(epoll, EPOLL_CTL_MOD, c->fd, &event);
}

static void flush(struct connection *c) {
    ssize_t taken = send(c->fd, c->out.at, c->out.size, MSG_NOSIGNAL);
    if (taken > 0) bytes_drop(&c->out, taken);
    if (c->out.size == 0) watch(c, EPOLLIN);
}

static void write_to(struct connection *c, const char *data, size_t size) {
    ssize_t taken = c->out.size ? 0 : send(c->fd, data, size, MSG_NOSIGNAL);
    if (taken < 0) taken = 0; /* if it is gone, reading will tell */
    if ((size_t)taken == size) return;
    if (c->out.size == 0) watch(c, EPOLLIN | EPOLLOUT);
    bytes_add(&c->out, data + taken, size - taken);
}

static void say(struct connection *c, int opcode, const char *message, size_t size) {
    static char frame[HEAD_MAX + TEXT_MAX + PAYLOAD_MAX];
    write_to(c, frame, frame_masked(frame, opcode, message, size));
}

static void say_join(struct connection *c, int number) {
    char text[TEXT_MAX];
    say(c, TEXT, text, sprintf(text, "[\"1\",\"1\",\"bench:%d\",\"phx_join\",{}]", number));
}

static void say_event(struct connection *c, int number, uint64_t n, uint64_t stamp, int payload) {
    static char text[TEXT_MAX + PAYLOAD_MAX];
    int size = sprintf(text,
                       "[\"1\",\"%lu\",\"bench:%d\",\"tick\",{\"n\":%lu,\"t\":%lu,\"p\":\"%.*s\"}]",
                       n, number, n, stamp, payload, filler);
    say(c, TEXT, text, size);
}

static void publish(struct room *room, uint64_t stamp) {
    room->sent++;
    sent++;
    say_event(room->publisher, room->number, room->sent, stamp, plan.payload);
}

/* Keep the window full: see the top of the file. */
static void refill(struct room *room, uint64_t now) {
    while (room->sent * room->members < room->delivered + (uint64_t)plan.window * room->members)
        publish(room, now);
}

static void send_heartbeats(uint64_t now) {
    static const char beat[] = "[null,\"b\",\"phoenix\",\"heartbeat\",{}]";
    for (; next_beat <= now; next_beat += HEARTBEAT_S * SECOND / plan.connections) {
        struct connection *c = &connections[beats++ % plan.connections];
        if (c->state == JOINED && !c->stopped) say(c, TEXT, beat, sizeof beat - 1);
    }
}

/* Receiving. */

static bool has(const char *message, size_t size, const char *text) {
    return memmem(message, size, text, strlen(text)) != NULL;
}

static uint64_t digits(const char **at, const char *end) {
    uint64_t value = 0;
    for (; *at < end && **at >= '0' && **at <= '9'; ++*at) value = value * 10 + (**at - '0');
    return value;
}

/* A message that is none of those published: a reply, or what nobody expects. */
static void take_other(struct connection *c, const char *message, size_t size) {
    bool ok = has(message, size, "\"phx_reply\"") && has(message, size, "\"status\":\"ok\"");
    if (c->state == JOINING) {
        if (!ok) FAIL("a join was refused: %.*s", (int)(size < 300 ? size : 300), message);
        c->state = JOINED;
        joined++;
    } else if (!ok && !c->stopped && strange++ == 0) {
        fprintf(stderr, "not expected: %.*s\n", (int)(size < 300 ? size : 300), message);
    }
}

static void take_message(struct connection *c, const char *message, size_t size, uint64_t now) {
    struct room *room = c->room;
    if (size < room->prefix_size || memcmp(message, room->prefix, room->prefix_size) != 0) {
        take_other(c, message, size);
        return;
    }
    const char *at = message + room->prefix_size, *end = message + size;
    uint64_t number = digits(&at, end);
    at += strlen(",\"t\":");
    uint64_t stamp = digits(&at, end);
    if (end - at != (ptrdiff_t)(strlen(",\"p\":\"\"}]") + plan.payload)) strange++;
    if (number < c->awaited) {
        again++;
        return;
    }
    skipped += number - c->awaited;
    c->awaited = number + 1;
    room->delivered++;
    delivered++;
    uint64_t latency = now > stamp ? now - stamp : 0;
    if (number <= LASTS_MAX && latency > lasts[number - 1]) lasts[number - 1] = latency;
    if (measuring) histogram_add(&latencies, latency);
}

static void end(struct connection *c) {
    if (c->state != JOINED && !c->stopped) FAIL("a connection ended before it had joined");
    c->state = ENDED;
    ended++;
    close(c->fd);
}

static void upgraded(struct connection *c, const char *head, size_t size) {
    if (!has(head, size, " 101 ") || !has(head, size, ACCEPT))
        FAIL("a handshake was refused: %.*s", (int)((char *)memchr(head, '\r', size) - head), head);
    c->state = JOINING;
    say_join(c, c->room->number);
}

/* Take what is whole of these bytes; returns how many that were. */
static size_t take(struct connection *c, char *data, size_t size, uint64_t now) {
    size_t taken = 0, whole;
    struct frame frame;
    if (c->state == UPGRADING) {
        char *blank = memmem(data, size, "\r\n\r\n", 4);
        if (blank == NULL) return 0;
        taken = blank + 4 - data;
        upgraded(c, data, taken);
    }
    while ((whole = frame_read(data + taken, size - taken, &frame)) > 0) {
        taken += whole;
        if (frame.opcode == TEXT) take_message(c, frame.payload, frame.size, now);
        else if (frame.opcode == PING) say(c, PONG, frame.payload, frame.size);
        else if (frame.opcode != CLOSE) strange++;
    }
    return taken;
}

static void receive(struct connection *c) {
    static char in[1 << 18];
    ssize_t size = recv(c->fd, in, sizeof in, 0);
    uint64_t now = now_ns();
    if (size < 0 && errno == EAGAIN) return;
    if (size <= 0) {
        end(c);
        return;
    }
    if (c->in.size > 0) {
        bytes_add(&c->in, in, size);
        bytes_drop(&c->in, take(c, c->in.at, c->in.size, now));
    } else {
        size_t taken = take(c, in, size, now);
        if (taken < (size_t)size) bytes_add(&c->in, in + taken, size - taken);
    }
    if (loading && plan.rate == 0) refill(c->room, now);
}

/* Connecting. */

static void begin_upgrade(struct connection *c) {
    char head[4096];
    int error = 0;
    socklen_t size = sizeof error;
    getsockopt(c->fd, SOL_SOCKET, SO_ERROR, &error, &size);
    if (error) FAIL("no connection: %s", strerror(error));
    int length = snprintf(head, sizeof head,
                          "GET %s HTTP/1.1\r\nHost: 127.0.0.1:%d\r\nUpgrade: websocket\r\n"
                          "Connection: Upgrade\r\nSec-WebSocket-Key: " KEY "\r\n"
                          "Sec-WebSocket-Version: 13\r\n\r\n",
                          plan.path, plan.port);
    if (length >= (int)sizeof head) FAIL("the path is too long");
    c->state = UPGRADING;
    watch(c, EPOLLIN);
    write_to(c, head, length);
}

static void start(struct connection *c) {
    int on = 1, small = 4096;
    c->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    if (c->fd < 0) FAIL("no socket: %s", strerror(errno));
    setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    if (c->stopped) setsockopt(c->fd, SOL_SOCKET, SO_RCVBUF, &small, sizeof small);
    if (plan.sources > 1) {
        struct sockaddr_in source = {.sin_family = AF_INET};
        source.sin_addr.s_addr = htonl(INADDR_LOOPBACK + 1 + c->number % plan.sources);
        setsockopt(c->fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof on);
        if (bind(c->fd, (struct sockaddr *)&source, sizeof source) < 0)
            FAIL("no source: %s", strerror(errno));
    }
    struct epoll_event event = {.events = EPOLLOUT, .data.ptr = c};
    epoll_ctl(epoll, EPOLL_CTL_ADD, c->fd, &event);
    struct sockaddr_in server = {.sin_family = AF_INET,
                                 .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
                                 .sin_port = htons(plan.port)};
    if (connect(c->fd, (struct sockaddr *)&server, sizeof server) < 0 && errno != EINPROGRESS)
        FAIL("no connection: %s", strerror(errno));
    c->state = CONNECTING;
}

static void serve(struct connection *c, uint32_t events) {
    if (c->state == CONNECTING) begin_upgrade(c);
    else if (c->state != ENDED) {
        if (events & EPOLLOUT) flush(c);
        if (events & ~EPOLLOUT) receive(c);
    }
}

/* One turn: what there is to be read or written, after waiting for it so long at most. */
static void turn(int wait_ms) {
    static struct epoll_event events[EVENTS_MAX];
    uint64_t passed;
    send_heartbeats(now_ns());
    int count = epoll_wait(epoll, events, EVENTS_MAX, wait_ms);
    for (int i = 0; i < count; i++) {
        if (events[i].data.ptr != NULL) serve(events[i].data.ptr, events[i].events);
        else if (read(timer, &passed, sizeof passed) < 0) continue; /* it was set anew */
    }
}

static void join_all(void) {
    double cpu = server_seconds();
    uint64_t began = now_ns();
    while (joined < plan.connections) {
        while (started < plan.connections && started - joined < plan.at_once)
            start(&connections[started++]);
        turn(20);
        if (now_ns() - began > plan.join_seconds * SECOND)
            FAIL("%d of %d have joined after %d s", joined, plan.connections, plan.join_seconds);
    }
    printf("{\"joined\":%d,\"seconds\":%.6f,\"server_s\":%.3f}\n", joined,
           (now_ns() - began) / 1e9, server_seconds() - cpu);
    fflush(stdout);
}

/* A reader that stops, with every buffer on its way full: in a room of its own it publishes more
 * than they hold, and reads none of it, nor anything else from now on. */
static void stop(struct connection *c) {
    int own = plan.rooms + c->number;
    c->state = JOINING;
    say_join(c, own);
    while (c->state != JOINED) turn(20);
    epoll_ctl(epoll, EPOLL_CTL_DEL, c->fd, NULL);
    struct pollfd writable = {.fd = c->fd, .events = POLLOUT};
    for (uint64_t n = 1; n <= FLOOD_BYTES / FLOOD_PAYLOAD; n++) {
        say_event(c, own, n, 0, FLOOD_PAYLOAD);
        while (c->out.size > 0 && poll(&writable, 1, FLOOD_STEP_MS) == 1) flush(c);
        if (c->out.size > 0) return; /* the server holds it back: all is full */
    }
}

/* Load. */

static void set_timer(uint64_t due) {
    struct itimerspec at = {.it_value = {.tv_sec = due / SECOND, .tv_nsec = due % SECOND}};
    timerfd_settime(timer, TFD_TIMER_ABSTIME, &at, NULL);
}

static void publish_due(uint64_t began, uint64_t now) {
    uint64_t due;
    while ((due = began + (uint64_t)(sent * 1e9 / plan.rate)) <= now)
        publish(&rooms[sent % plan.rooms], due);
    set_timer(due);
}

static uint64_t missing(void) {
    uint64_t expected = 0;
    for (int i = 0; i < plan.rooms; i++) expected += rooms[i].sent * rooms[i].members;
    return expected - delivered;
}

/* The second line. */
static void tell(double seconds, uint64_t messages, uint64_t deliveries, double server, double own,
                 uint64_t lost) {
    printf("{\"seconds\":%.6f,\"messages\":%lu,\"deliveries\":%lu,\"server_s\":%.3f,\"own_s\":%.3f,"
           "\"lost\":%lu,\"again\":%lu,\"skipped\":%lu,\"strange\":%lu,\"ended\":%d,\"p50_us\":%.1f,"
           "\"p90_us\":%.1f,\"p99_us\":%.1f,\"p999_us\":%.1f,\"max_us\":%.1f,\"last_us\":[",
           seconds, messages, deliveries, server, own, lost, again, skipped, strange, ended,
           histogram_at(&latencies, .5) / 1e3, histogram_at(&latencies, .9) / 1e3,
           histogram_at(&latencies, .99) / 1e3, histogram_at(&latencies, .999) / 1e3,
           latencies.largest / 1e3);
    for (uint64_t n = 0; n < messages && n < LASTS_MAX; n++)
        printf("%s%.1f", n ? "," : "", lasts[n] / 1e3);
    printf("]}\n");
}

static void load(void) {
    uint64_t began = now_ns(), warm = began + plan.warm_up * SECOND;
    uint64_t over = warm + plan.seconds * SECOND, now, sent_before = 0, delivered_before = 0;
    double server = 0, own = 0;
    loading = true;
    for (int i = 0; plan.rate == 0 && i < plan.rooms; i++) refill(&rooms[i], now_ns());
    while ((now = now_ns()) < over) {
        if (!measuring && now >= warm) {
            measuring = true;
            warm = now;
            sent_before = sent;
            delivered_before = delivered;
            server = server_seconds();
            own = own_seconds();
        }
        if (plan.rate > 0) publish_due(began, now);
        turn(5);
    }
    double seconds = (now - warm) / 1e9;
    server = server_seconds() - server;
    own = own_seconds() - own;
    uint64_t in_time = delivered - delivered_before, messages = sent - sent_before;
    loading = measuring = false;
    while (missing() > 0 && now_ns() < over + DRAIN_S * SECOND) turn(5);
    tell(seconds, messages, in_time, server, own, missing());
}

/* Keep the connections until standard input ends. */
static void hold(void) {
    struct pollfd input = {.fd = 0, .events = POLLIN};
    char byte;
    while (poll(&input, 1, 0) == 0 || read(0, &byte, 1) > 0) turn(20);
}

/* The same, and measure what others publish meanwhile. */
static void listen_only(void) {
    double server = server_seconds(), own = own_seconds();
    uint64_t began = now_ns(), heard = 0, expected = 0;
    measuring = true;
    hold();
    for (int i = 0; i < plan.connections; i++)
        if (connections[i].awaited - 1 > heard) heard = connections[i].awaited - 1;
    expected = heard * plan.connections;
    tell((now_ns() - began) / 1e9, heard, delivered, server_seconds() - server,
         own_seconds() - own, expected - delivered);
}

static void read_plan(int count, char **words) {
    enum { PORT, PATH, CONNECTIONS, ROOMS, WINDOW, RATE, SECONDS, WARM_UP, PAYLOAD, AT_ONCE,
           SOURCES, STOPPED, SERVER, JOIN_SECONDS, HOLD, LISTEN };
    static const char *names[] = {"port", "path", "connections", "rooms", "window", "rate",
                                  "seconds", "warm-up", "payload", "at-once", "sources", "stopped",
                                  "server", "join-seconds", "hold", "listen"};
    static int *wholes[] = {[PORT] = &plan.port, [CONNECTIONS] = &plan.connections,
                            [ROOMS] = &plan.rooms, [WINDOW] = &plan.window,
                            [PAYLOAD] = &plan.payload, [AT_ONCE] = &plan.at_once,
                            [SOURCES] = &plan.sources, [STOPPED] = &plan.stopped,
                            [SERVER] = &plan.server, [JOIN_SECONDS] = &plan.join_seconds,
                            [HOLD] = &plan.hold, [LISTEN] = &plan.listen};
    static struct option options[LISTEN + 2];
    for (int i = 0; i <= LISTEN; i++)
        options[i] = (struct option){names[i], i >= HOLD ? no_argument : required_argument, 0, i};
    int which;
    while ((which = getopt_long(count, words, "", options, NULL)) != -1) {
        if (which == '?') exit(2);
        else if (which == PATH) plan.path = optarg;
        else if (which == RATE) plan.rate = atof(optarg);
        else if (which == SECONDS) plan.seconds = atof(optarg);
        else if (which == WARM_UP) plan.warm_up = atof(optarg);
        else *wholes[which] = which >= HOLD ? 1 : atoi(optarg);
    }
    if (plan.port <= 0 || plan.rooms <= 0 || plan.window <= 0 || plan.payload < 0 ||
        plan.payload > FLOOD_PAYLOAD || plan.connections - plan.stopped < plan.rooms)
        FAIL("a port is needed, and a member for each room");
    if (plan.listen && plan.rooms > 1) FAIL("who listens is in one room");
}

static void prepare(void) {
    struct rlimit descriptors;
    getrlimit(RLIMIT_NOFILE, &descriptors);
    descriptors.rlim_cur = descriptors.rlim_max;
    setrlimit(RLIMIT_NOFILE, &descriptors);
    memset(filler, 'x', sizeof filler);
    epoll = epoll_create1(0);
    timer = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK);
    struct epoll_event event = {.events = EPOLLIN};
    epoll_ctl(epoll, EPOLL_CTL_ADD, timer, &event);
    next_beat = now_ns() + HEARTBEAT_S * SECOND;
    connections = calloc(plan.connections, sizeof *connections);
    rooms = calloc(plan.rooms, sizeof *rooms);
    if (connections == NULL || rooms == NULL) FAIL("out of memory");
    for (int i = 0; i < plan.rooms; i++) {
        rooms[i].number = i;
        rooms[i].prefix_size = sprintf(rooms[i].prefix, "[null,null,\"bench:%d\",\"tick\",{\"n\":", i);
    }
    for (int i = 0; i < plan.connections; i++) {
        struct connection *c = &connections[i];
        *c = (struct connection){.number = i, .room = &rooms[i % plan.rooms], .awaited = 1};
        c->stopped = i >= plan.connections - plan.stopped;
        if (c->stopped) continue;
        c->room->members++;
        if (c->room->publisher == NULL) c->room->publisher = c;
    }
}

int main(int count, char **words) {
    read_plan(count, words);
    prepare();
    join_all();
    if (plan.listen) {
        listen_only();
        return 0;
    }
    if (plan.hold) hold();
    for (int i = plan.connections - plan.stopped; i < plan.connections; i++) stop(&connections[i]);
    if (plan.seconds > 0) load();
    return 0;
}
