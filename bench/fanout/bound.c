/* bound: how fast a broadcast can be, where each delivery is one send and nothing else is done.
 *
 *     bound        prints the port on which it listens, on the loopback address
 *
 * It takes every client and every join, and gives each message to all members of its room, in the
 * order in which they joined. It checks nothing: it is there to be measured, beside a server that
 * does. A reader that does not keep up loses messages; one that got half of a message gets no more.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "websocket.h"

/* Rooms have numbers below this. */
#define ROOMS_MAX 65536
/* Rooms of one client. */
#define JOINED_MAX 2
#define EVENTS_MAX 1024
#define MESSAGE_MAX 131072

static const char UPGRADED[] = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n"
                               "Connection: Upgrade\r\nSec-WebSocket-Accept: " ACCEPT "\r\n\r\n";

struct client {
    int fd;
    bool upgraded;
    bool torn; /* it got half of a message */
    int joined;
    int rooms[JOINED_MAX];
    struct bytes kept; /* the beginning of what is not all there yet */
};

struct room {
    struct client **members;
    int size, capacity;
};

static struct room rooms[ROOMS_MAX];
static int epoll;

static void deliver(struct client *client, const char *frame, size_t size) {
    if (client->torn) return;
    ssize_t taken = send(client->fd, frame, size, MSG_NOSIGNAL);
    if (taken > 0 && (size_t)taken < size) client->torn = true;
}

static void join(struct client *client, int number) {
    struct room *room = &rooms[number];
    if (room->size == room->capacity) {
        room->capacity = room->capacity ? room->capacity * 2 : 16;
        room->members = realloc(room->members, room->capacity * sizeof *room->members);
        if (room->members == NULL) FAIL("out of memory");
    }
    if (client->joined == JOINED_MAX) FAIL("a client joins more than %d rooms", JOINED_MAX);
    client->rooms[client->joined++] = number;
    room->members[room->size++] = client;
}

static void leave(struct client *client, int number) {
    struct room *room = &rooms[number];
    for (int i = 0; i < room->size; i++)
        if (room->members[i] == client) {
            room->members[i] = room->members[--room->size];
            return;
        }
}

static void end(struct client *client) {
    for (int i = 0; i < client->joined; i++) leave(client, client->rooms[i]);
    close(client->fd);
    free(client->kept.at);
    free(client);
}

/* Where the n-th comma of a message is. */
static size_t comma(const char *message, size_t size, int n) {
    const char *at = message - 1;
    while (n-- > 0) {
        at = memchr(at + 1, ',', message + size - at - 1);
        if (at == NULL) FAIL("no message: %.*s", (int)size, message);
    }
    return at - message;
}

/* One frame of these parts. */
static size_t framed(char *to, const char *first, const char *second, size_t second_size,
                     const char *third) {
    size_t first_size = strlen(first), third_size = strlen(third);
    size_t size = first_size + second_size + third_size;
    char *at = to + frame_head(to, TEXT, size);
    at = mempcpy(at, first, first_size);
    at = mempcpy(at, second, second_size);
    at = mempcpy(at, third, third_size);
    return at - to;
}

/* Act upon `[join_ref,ref,"room:number",event,payload]`. */
static void act(struct client *client, const char *message, size_t size) {
    static char out[MESSAGE_MAX + 64];
    if (size > MESSAGE_MAX) FAIL("a message of %zu bytes", size);
    size_t topic = comma(message, size, 2) + 1, event = comma(message, size, 3) + 1;
    const char *colon = memchr(message + topic, ':', event - topic);
    if (colon == NULL) return; /* a heartbeat */
    int number = atoi(colon + 1);
    if (number < 0 || number >= ROOMS_MAX) FAIL("room %d", number);
    if (memmem(message + event, size - event, "phx_join", 8) == message + event + 1) {
        join(client, number);
        size_t reply = framed(out, "", message, event,
                              "\"phx_reply\",{\"status\":\"ok\",\"response\":{}}]");
        deliver(client, out, reply);
        return;
    }
    size_t broadcast = framed(out, "[null,null,", message + topic, size - topic, "");
    struct room *room = &rooms[number];
    for (int i = 0; i < room->size; i++) deliver(room->members[i], out, broadcast);
}

/* Take what is whole of these bytes; returns how many that were. */
static size_t take(struct client *client, char *data, size_t size) {
    size_t taken = 0, whole;
    struct frame frame;
    if (!client->upgraded) {
        char *blank = memmem(data, size, "\r\n\r\n", 4);
        if (blank == NULL) return 0;
        taken = blank + 4 - data;
        client->upgraded = true;
        deliver(client, UPGRADED, sizeof UPGRADED - 1);
    }
    while ((whole = frame_read(data + taken, size - taken, &frame)) > 0) {
        if (frame.opcode == TEXT) act(client, frame.payload, frame.size);
        taken += whole;
    }
    return taken;
}

static void receive(struct client *client) {
    static char in[1 << 18];
    ssize_t size = recv(client->fd, in, sizeof in, 0);
    if (size < 0 && errno == EAGAIN) return;
    if (size <= 0) {
        end(client);
    } else if (client->kept.size > 0) {
        bytes_add(&client->kept, in, size);
        bytes_drop(&client->kept, take(client, client->kept.at, client->kept.size));
    } else {
        size_t taken = take(client, in, size);
        if (taken < (size_t)size) bytes_add(&client->kept, in + taken, size - taken);
    }
}

static void welcome(int listener) {
    int fd, on = 1;
    while ((fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK)) >= 0) {
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
        struct client *client = calloc(1, sizeof *client);
        if (client == NULL) FAIL("out of memory");
        client->fd = fd;
        struct epoll_event event = {.events = EPOLLIN, .data.ptr = client};
        epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event);
    }
}

static int open_port(void) {
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof address;
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    if (bind(listener, (struct sockaddr *)&address, size) < 0 || listen(listener, 4096) < 0 ||
        getsockname(listener, (struct sockaddr *)&address, &size) < 0)
        FAIL("no port: %s", strerror(errno));
    printf("%d\n", ntohs(address.sin_port));
    fflush(stdout);
    return listener;
}

int main(void) {
    struct rlimit descriptors;
    getrlimit(RLIMIT_NOFILE, &descriptors);
    descriptors.rlim_cur = descriptors.rlim_max;
    setrlimit(RLIMIT_NOFILE, &descriptors);
    int listener = open_port();
    epoll = epoll_create1(0);
    struct epoll_event event = {.events = EPOLLIN}, events[EVENTS_MAX];
    epoll_ctl(epoll, EPOLL_CTL_ADD, listener, &event);
    for (;;) {
        int count = epoll_wait(epoll, events, EVENTS_MAX, -1);
        for (int i = 0; i < count; i++) {
            if (events[i].data.ptr == NULL) welcome(listener);
            else receive(events[i].data.ptr);
        }
    }
}
