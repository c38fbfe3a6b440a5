/* As much of AMQP 0-9-1 as a load generator needs: one channel, guest's password, frames of 128 kB. */
#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { FRAME_METHOD = 1, FRAME_HEADER = 2, FRAME_BODY = 3, FRAME_END = 0xCE, FRAME_MAX = 131072, CHUNK = 65536 };
enum { CONNECTION = 10, CHANNEL = 20, QUEUE = 50, BASIC = 60, CONFIRM = 85 };

/* Bytes */

typedef struct {
    uint8_t *bytes;
    size_t length, room;
} Buffer;

static void fail(const char *what) {
    perror(what);
    exit(1);
}

static void reserve(Buffer *b, size_t more) {
    if (b->length + more <= b->room) return;
    b->room = (b->length + more) * 2;
    b->bytes = realloc(b->bytes, b->room);
    if (!b->bytes) fail("realloc");
}

static void put(Buffer *b, const void *bytes, size_t length) {
    reserve(b, length);
    memcpy(b->bytes + b->length, bytes, length);
    b->length += length;
}

static void put_number(Buffer *b, uint64_t value, int size) {
    reserve(b, size);
    for (int i = size - 1; i >= 0; i--) b->bytes[b->length++] = value >> (8 * i);
}

static void put_text(Buffer *b, const char *text) { /* shortstr */
    put_number(b, strlen(text), 1);
    put(b, text, strlen(text));
}

static void put_long_text(Buffer *b, const void *text, size_t length) { /* longstr */
    put_number(b, length, 4);
    put(b, text, length);
}

static uint64_t number(const uint8_t *p, int size) {
    uint64_t value = 0;
    while (size--) value = value << 8 | *p++;
    return value;
}

static void put_frame(Buffer *b, int type, int channel, const void *payload, size_t length) {
    put_number(b, type, 1);
    put_number(b, channel, 2);
    put_number(b, length, 4);
    put(b, payload, length);
    put_number(b, FRAME_END, 1);
}

/* A connection with one channel */

typedef struct {
    int socket;
    Buffer in;
    size_t at;
} Connection;

typedef struct {
    int type;
    uint32_t length;
    const uint8_t *payload;
} Frame;

static void send_all(Connection *c, const uint8_t *bytes, size_t length) {
    while (length) {
        ssize_t sent = send(c->socket, bytes, length, MSG_NOSIGNAL);
        if (sent <= 0) fail("send");
        bytes += sent;
        length -= sent;
    }
}

static int receive(Connection *c, int timeout_ms) { /* 0: nothing came in time */
    if (c->at == c->in.length) c->at = c->in.length = 0;
    if (c->at > CHUNK) {
        memmove(c->in.bytes, c->in.bytes + c->at, c->in.length - c->at);
        c->in.length -= c->at;
        c->at = 0;
    }
    reserve(&c->in, 2 * FRAME_MAX);
    if (timeout_ms >= 0) {
        struct pollfd readable = {.fd = c->socket, .events = POLLIN};
        if (poll(&readable, 1, timeout_ms) == 0) return 0;
    }
    ssize_t got = recv(c->socket, c->in.bytes + c->in.length, c->in.room - c->in.length, 0);
    if (got <= 0) fail("recv");
    c->in.length += got;
    return 1;
}

static int buffered(Connection *c, Frame *frame) {
    size_t there = c->in.length - c->at;
    const uint8_t *p = c->in.bytes + c->at;
    if (there < 8) return 0;
    frame->type = p[0];
    frame->length = number(p + 3, 4);
    frame->payload = p + 7;
    if (there < frame->length + 8) return 0;
    c->at += frame->length + 8;
    return 1;
}

static int is_method(const Frame *frame, int class, int method) {
    return frame->type == FRAME_METHOD && number(frame->payload, 2) == (uint64_t)class &&
           number(frame->payload + 2, 2) == (uint64_t)method;
}

static void refuse_close(const Frame *frame) {
    if (!is_method(frame, CONNECTION, 50) && !is_method(frame, CHANNEL, 40)) return;
    fprintf(stderr, "RabbitMQ closed: %.*s\n", frame->payload[6], (const char *)frame->payload + 7);
    exit(2);
}

static void await(Connection *c, int class, int method) {
    Frame frame;
    do {
        while (!buffered(c, &frame)) receive(c, -1);
        refuse_close(&frame);
    } while (!is_method(&frame, class, method));
}

static void call(Connection *c, int channel, int class, int method, const Buffer *arguments) {
    Buffer payload = {0}, frame = {0};
    put_number(&payload, class, 2);
    put_number(&payload, method, 2);
    put(&payload, arguments->bytes, arguments->length);
    put_frame(&frame, FRAME_METHOD, channel, payload.bytes, payload.length);
    send_all(c, frame.bytes, frame.length);
    free(payload.bytes);
    free(frame.bytes);
}

static void open_socket(Connection *c, const char *host, int port) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port)};
    int on = 1;
    inet_pton(AF_INET, host, &address.sin_addr);
    c->socket = socket(AF_INET, SOCK_STREAM, 0);
    if (connect(c->socket, (void *)&address, sizeof address)) fail("connect");
    setsockopt(c->socket, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
}

static Connection *open_connection(const char *host, int port, const char *vhost) {
    Connection *c = calloc(1, sizeof *c);
    Buffer a = {0};
    open_socket(c, host, port);
    send_all(c, (const uint8_t *)"AMQP\0\0\x09\x01", 8);
    await(c, CONNECTION, 10);
    put_number(&a, 0, 4); /* client properties */
    put_text(&a, "PLAIN");
    put_long_text(&a, "\0guest\0guest", 12);
    put_text(&a, "en_US");
    call(c, 0, CONNECTION, 11, &a);
    await(c, CONNECTION, 30);
    a.length = 0;
    put_number(&a, 2047, 2);
    put_number(&a, FRAME_MAX, 4);
    put_number(&a, 0, 2); /* no heartbeat */
    call(c, 0, CONNECTION, 31, &a);
    a.length = 0;
    put_text(&a, vhost);
    put_number(&a, 0, 2);
    call(c, 0, CONNECTION, 40, &a);
    await(c, CONNECTION, 41);
    a.length = 0;
    put_number(&a, 0, 1);
    call(c, 1, CHANNEL, 10, &a);
    await(c, CHANNEL, 11);
    free(a.bytes);
    return c;
}

static void close_connection(Connection *c) {
    Buffer a = {0};
    put_number(&a, 200, 2);
    put_text(&a, "");
    put_number(&a, 0, 4);
    call(c, 0, CONNECTION, 50, &a);
    await(c, CONNECTION, 51);
    close(c->socket);
    free(a.bytes);
    free(c->in.bytes);
    free(c);
}

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec + t.tv_nsec * 1e-9;
}
