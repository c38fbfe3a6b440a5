/* What RabbitMQ gives a client that costs nothing: frames that are ready go out, frames that come in are counted.

   amqpload VERB NAME=VALUE ...
     publish   windowed confirms: never more than `window` messages unconfirmed; window=1 is one by one
     consume   `prefetch`, one acknowledgement (multiple) for every `ack` messages or when nothing is left to read
     both      one publisher beside the consumers
     host port vhost queue   where; the queue is declared durable
     type=classic|quorum     of the queue
     count                   messages
     messages=FILE           records of: length, payload of the content header frame, length, body (lengths: 4 bytes,
                             big endian); sent in turn
     mandatory=0|1           the publish method's flag
     connections             consumers, each on a connection of its own

   Prints JSON: the rate, and our own CPU (us a message). */
#include "amqp.h"

#include <pthread.h>
#include <stdatomic.h>
#include <sys/resource.h>

enum { MOST_CONNECTIONS = 64 };

static struct {
    const char *host, *vhost, *queue, *type, *messages;
    long port, count, window, prefetch, ack, connections, mandatory;
} options = {.host = "127.0.0.1", .vhost = "/", .queue = "load", .type = "quorum", .port = 5672, .count = 100000,
             .window = 1000, .prefetch = 1000, .ack = 100, .connections = 1};

static void refuse(const char *what) {
    fprintf(stderr, "amqpload: %s\n", what);
    exit(2);
}

static void declare(Connection *c, int passive) {
    Buffer a = {0}, table = {0};
    if (!passive) {
        put_text(&table, "x-queue-type");
        put_number(&table, 'S', 1);
        put_long_text(&table, options.type, strlen(options.type));
    }
    put_number(&a, 0, 2);
    put_text(&a, options.queue);
    put_number(&a, passive ? 1 : 2, 1); /* durable */
    put_long_text(&a, table.bytes, table.length);
    call(c, 1, QUEUE, 10, &a);
    await(c, QUEUE, 11);
    free(a.bytes);
    free(table.bytes);
}

static Connection *open_to_broker(void) { return open_connection(options.host, options.port, options.vhost); }

static void prepare_queue(void) {
    Connection *c = open_to_broker(); /* alone: a quorum queue that two declare at once nacks what comes too early */
    declare(c, 0);
    close_connection(c);
}

/* Publishing */

static Buffer wire;      /* every message as method, header and body frame, one after the other */
static size_t *starts;   /* where each begins; one more for the end */
static long messages;
static double published_in;

static void add_message(const uint8_t *header, size_t header_length, const uint8_t *body, size_t body_length) {
    Buffer publish = {0};
    put_number(&publish, BASIC, 2);
    put_number(&publish, 40, 2);
    put_number(&publish, 0, 2);
    put_text(&publish, ""); /* the default exchange */
    put_text(&publish, options.queue);
    put_number(&publish, options.mandatory, 1);
    put_frame(&wire, FRAME_METHOD, 1, publish.bytes, publish.length);
    put_frame(&wire, FRAME_HEADER, 1, header, header_length);
    if (body_length) put_frame(&wire, FRAME_BODY, 1, body, body_length);
    free(publish.bytes);
    messages++;
    starts = realloc(starts, (messages + 1) * sizeof *starts);
    starts[messages] = wire.length;
}

static void read_messages(void) {
    Buffer file = {0};
    FILE *f = fopen(options.messages, "rb");
    if (!f) fail(options.messages);
    for (size_t got = 1; got;) {
        reserve(&file, CHUNK);
        file.length += got = fread(file.bytes + file.length, 1, CHUNK, f);
    }
    fclose(f);
    starts = calloc(1, sizeof *starts);
    for (const uint8_t *p = file.bytes; p < file.bytes + file.length;) {
        size_t header_length = number(p, 4);
        const uint8_t *header = p + 4, *body = header + header_length + 4;
        size_t body_length = number(body - 4, 4);
        if (body_length > FRAME_MAX - 8) refuse("a body of more than one frame");
        add_message(header, header_length, body, body_length);
        p = body + body_length;
    }
    free(file.bytes);
}

static long send_some(Connection *c, long first, long most) { /* neighbours in one write; answers how many */
    long from = first % messages, to = from;
    while (to < messages && to - from < most && (to == from || starts[to + 1] - starts[from] <= CHUNK)) to++;
    send_all(c, wire.bytes + starts[from], starts[to] - starts[from]);
    return to - from;
}

static uint8_t *settled; /* by delivery tag: a confirm for many may cover some that were confirmed alone */
static long confirmed, lowest = 1;

static void settle(const Frame *frame) {
    refuse_close(frame);
    if (is_method(frame, BASIC, 120) || is_method(frame, BASIC, 50)) refuse("a message came back");
    if (!is_method(frame, BASIC, 80)) return;
    long tag = number(frame->payload + 4, 8), from = frame->payload[12] & 1 ? lowest : tag;
    for (long i = from; i <= tag; i++) confirmed += !settled[i], settled[i] = 1;
    while (lowest <= options.count && settled[lowest]) lowest++;
}

static void *publish(void *unused) {
    Connection *c = open_to_broker();
    /* A wide window is refilled by the quarter, or it would be sent message by message. */
    long sent = 0, step = options.window < 64 ? 1 : options.window / 4;
    Buffer select = {0};
    Frame frame;
    settled = calloc(options.count + 2, 1);
    put_number(&select, 0, 1);
    call(c, 1, CONFIRM, 10, &select);
    await(c, CONFIRM, 11);
    double started = now();
    while (confirmed < options.count) {
        long room = options.window - (sent - confirmed), left = options.count - sent;
        int go = left > 0 && room >= (left < step ? left : step);
        if (go) sent += send_some(c, sent, room < left ? room : left);
        if (!receive(c, go ? 0 : -1)) continue;
        while (buffered(c, &frame)) settle(&frame);
    }
    published_in = now() - started;
    close_connection(c);
    free(select.bytes);
    return unused;
}

/* Consuming */

static atomic_long consumed;
static pthread_mutex_t clock_lock = PTHREAD_MUTEX_INITIALIZER; /* guards the two below */
static double first_delivery, last_acknowledged;

static void acknowledge(Connection *c, uint64_t tag) {
    Buffer a = {0};
    put_number(&a, tag, 8);
    put_number(&a, 1, 1); /* and all before it */
    call(c, 1, BASIC, 80, &a);
    free(a.bytes);
}

static void begin_consuming(Connection *c) {
    Buffer a = {0};
    put_number(&a, 0, 4);
    put_number(&a, options.prefetch, 2);
    put_number(&a, 0, 1);
    call(c, 1, BASIC, 10, &a);
    await(c, BASIC, 11);
    a.length = 0;
    put_number(&a, 0, 2);
    put_text(&a, options.queue);
    put_text(&a, "c");
    put_number(&a, 0, 1);
    put_number(&a, 0, 4);
    call(c, 1, BASIC, 20, &a);
    free(a.bytes);
}

static void note_first(void) {
    pthread_mutex_lock(&clock_lock);
    if (!first_delivery) first_delivery = now();
    pthread_mutex_unlock(&clock_lock);
}

static void *consume(void *unused) {
    Connection *c = open_to_broker();
    Frame frame;
    uint64_t tag = 0, body_left = 0;
    long unacknowledged = 0;
    begin_consuming(c);
    while (atomic_load(&consumed) < options.count) {
        if (!buffered(c, &frame)) {
            if (unacknowledged && c->at == c->in.length) acknowledge(c, tag), unacknowledged = 0;
            receive(c, 100);
            continue;
        }
        if (frame.type == FRAME_METHOD) {
            refuse_close(&frame);
            if (!is_method(&frame, BASIC, 60)) continue;
            tag = number(frame.payload + 5 + frame.payload[4], 8);
            if (!first_delivery) note_first();
            continue;
        }
        body_left = frame.type == FRAME_HEADER ? number(frame.payload + 4, 8) : body_left - frame.length;
        if (body_left) continue;
        atomic_fetch_add(&consumed, 1);
        if (++unacknowledged >= options.ack) acknowledge(c, tag), unacknowledged = 0;
    }
    if (unacknowledged) acknowledge(c, tag);
    declare(c, 1); /* its answer comes after the acknowledgements were read */
    pthread_mutex_lock(&clock_lock);
    if (!last_acknowledged || unacknowledged) last_acknowledged = now();
    pthread_mutex_unlock(&clock_lock);
    close_connection(c);
    return unused;
}

static void run_consumers(void) {
    pthread_t threads[MOST_CONNECTIONS];
    for (long i = 0; i < options.connections; i++) pthread_create(&threads[i], 0, consume, 0);
    for (long i = 0; i < options.connections; i++) pthread_join(threads[i], 0);
}

static void run_both(void) {
    pthread_t publisher;
    pthread_create(&publisher, 0, publish, 0);
    run_consumers();
    pthread_join(publisher, 0);
}

/* The command line */

static void set(const char *name, char *value) {
    struct { const char *name; const char **text; long *number; } known[] = {
        {"host", &options.host, 0},         {"vhost", &options.vhost, 0},      {"queue", &options.queue, 0},
        {"type", &options.type, 0},         {"messages", &options.messages, 0}, {"port", 0, &options.port},
        {"count", 0, &options.count},       {"window", 0, &options.window},    {"prefetch", 0, &options.prefetch},
        {"ack", 0, &options.ack},           {"connections", 0, &options.connections},
        {"mandatory", 0, &options.mandatory},
    };
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        if (strcmp(known[i].name, name)) continue;
        if (known[i].text) *known[i].text = value;
        else *known[i].number = atol(value);
        return;
    }
    refuse(name);
}

static double cpu_seconds(void) {
    struct rusage used;
    getrusage(RUSAGE_SELF, &used);
    return used.ru_utime.tv_sec + used.ru_stime.tv_sec + (used.ru_utime.tv_usec + used.ru_stime.tv_usec) * 1e-6;
}

static void report(double cpu) {
    printf("{\"tasks\": %ld, \"cpu_ms_per_1k\": %.2f", options.count, cpu / options.count * 1e6);
    if (published_in) printf(", \"published_per_second\": %.1f", options.count / published_in);
    if (published_in) printf(", \"wire_bytes\": %.0f", (double)wire.length / messages);
    if (consumed) printf(", \"consumed_per_second\": %.1f", options.count / (last_acknowledged - first_delivery));
    puts("}");
}

int main(int argc, char **argv) {
    for (int i = 2; i < argc; i++) {
        char *value = strchr(argv[i], '=');
        if (!value) refuse(argv[i]);
        *value = 0;
        set(argv[i], value + 1);
    }
    const char *verb = argc > 1 ? argv[1] : "";
    if (options.messages) read_messages();
    if (options.connections < 1 || options.connections > MOST_CONNECTIONS) refuse("connections");
    prepare_queue();
    double before = cpu_seconds();
    if (!strcmp(verb, "publish")) publish(0);
    else if (!strcmp(verb, "consume")) run_consumers();
    else if (!strcmp(verb, "both")) run_both();
    else refuse("publish, consume or both");
    report(cpu_seconds() - before);
    return 0;
}
