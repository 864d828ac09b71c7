/* WebSocket frames and growing buffers: what the load generator and the bound have in common. */
#ifndef AGIO_BENCH_WEBSOCKET_H
#define AGIO_BENCH_WEBSOCKET_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { TEXT = 0x1, CLOSE = 0x8, PING = 0x9, PONG = 0xA };

/* The longest head of a frame: two bytes, eight of length, four of mask. */
#define HEAD_MAX 14

/* The client always sends the key of the RFC's example, so the server's answer is known as well. */
#define KEY "dGhlIHNhbXBsZSBub25jZQ=="
#define ACCEPT "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="

/* Say what went wrong, in one line, and end. */
#define FAIL(...) (fprintf(stderr, __VA_ARGS__), fputc('\n', stderr), exit(1))

struct bytes {
    char *at;
    size_t size, room;
};

static inline void bytes_add(struct bytes *bytes, const char *data, size_t size) {
    if (bytes->size + size > bytes->room) {
        bytes->room = (bytes->size + size) * 2;
        bytes->at = realloc(bytes->at, bytes->room);
        if (bytes->at == NULL) FAIL("out of memory");
    }
    memcpy(bytes->at + bytes->size, data, size);
    bytes->size += size;
}

/* Forget the first bytes; what is empty takes no memory. */
static inline void bytes_drop(struct bytes *bytes, size_t size) {
    bytes->size -= size;
    if (bytes->size > 0) {
        memmove(bytes->at, bytes->at + size, bytes->size);
        return;
    }
    free(bytes->at);
    *bytes = (struct bytes){0};
}

struct frame {
    int opcode;
    char *payload;
    size_t size;
};

/* Read the frame at the front of these bytes, and unmask it in place.
 * Returns its whole size, head included; 0 if it is not all there. */
static inline size_t frame_read(char *data, size_t have, struct frame *frame) {
    const unsigned char *head = (const unsigned char *)data;
    if (have < 2) return 0;
    size_t size = head[1] & 0x7F, begin = 2;
    if (size >= 126) {
        size_t extra = size == 126 ? 2 : 8;
        if (have < 2 + extra) return 0;
        size = 0;
        for (size_t i = 0; i < extra; i++) size = size << 8 | head[2 + i];
        begin += extra;
    }
    bool masked = head[1] & 0x80;
    if (masked) begin += 4;
    if (have < begin || have - begin < size) return 0;
    frame->opcode = head[0] & 0x0F;
    frame->payload = data + begin;
    frame->size = size;
    if (masked)
        for (size_t i = 0; i < size; i++) data[begin + i] ^= data[begin - 4 + (i & 3)];
    return begin + size;
}

/* Write the head of an unmasked frame; returns its size. */
static inline size_t frame_head(char *to, int opcode, size_t size) {
    to[0] = (char)(0x80 | opcode);
    if (size < 126) {
        to[1] = (char)size;
        return 2;
    }
    size_t extra = size < 65536 ? 2 : 8;
    to[1] = extra == 2 ? 126 : 127;
    for (size_t i = 0; i < extra; i++) to[2 + i] = (char)(size >> 8 * (extra - 1 - i));
    return 2 + extra;
}

/* Write a whole masked frame, as clients have to send it; returns its size. */
static inline size_t frame_masked(char *to, int opcode, const char *payload, size_t size) {
    static uint32_t key = 0x9E3779B9;
    size_t begin = frame_head(to, opcode, size) + 4;
    to[1] |= (char)0x80;
    key = key * 1664525 + 1013904223;
    memcpy(to + begin - 4, &key, 4);
    for (size_t i = 0; i < size; i++) to[begin + i] = payload[i] ^ to[begin - 4 + (i & 3)];
    return begin + size;
}

#endif
