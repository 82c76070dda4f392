/* A JACK client that notes when the messages of a MIDI clock are meant: RtMidi would say only in which period they came.
 *
 * The process callback runs on JACK's thread: it allocates, locks and waits for nothing, and knows no Python. It writes into a
 * ring that one other thread reads. libjack is opened at run time, so that nothing is needed to build, nor to run without it.
 */
#include <dlfcn.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "jack_clock.h"

#define RING 4096u /* messages: 85 s of clock at 120 BPM; periods: 3 s of the shortest */
#define LONGEST 3u
#define NO_START_SERVER 1
#define PORT_IS_INPUT 1ul
#define PORT_IS_OUTPUT 2ul
#define MIDI "8 bit raw midi"
#define CLOCK 0xF8
#define POSITION 0xF2
#define START 0xFA
#define STOP 0xFC

typedef uint32_t frames;
typedef struct {
    frames time;
    size_t size;
    uint8_t *buffer;
} midi_event; /* jack_midi_event_t */

struct period {
    uint64_t frame, usec;
};

struct message {
    uint64_t frame;
    uint8_t size;
    uint8_t data[LONGEST];
};

struct jack_clock {
    void *library, *client, *port;
    void *(*port_get_buffer)(void *, frames);
    uint32_t (*event_count)(void *);
    int (*event_get)(midi_event *, void *, uint32_t);
    frames (*last_frame)(void *);
    frames (*rate)(void *);
    uint64_t (*time)(void);
    const char **(*get_ports)(void *, const char *, const char *, unsigned long);
    int (*connect)(void *, const char *, const char *);
    const char *(*port_name)(void *);
    int (*connected)(const void *, const char *);
    int (*client_close)(void *);
    void (*release)(void *);
    _Atomic uint64_t written, taken, lost;
    _Atomic uint64_t begun, told;
    uint64_t frame; /* of the period, without the wrap of JACK's own count */
    _Atomic int gone;
    struct message ring[RING];
    struct period periods[RING];
};

static int is_clock(const midi_event *e)
{
    uint8_t status = e->size ? e->buffer[0] : 0;
    if (status == POSITION)
        return e->size == LONGEST;
    return e->size == 1 && (status == CLOCK || (status >= START && status <= STOP));
}

/* JACK's own map of frames to times takes seconds to find back after lost periods: whoever reads makes one of these. */
static void note_period(struct jack_clock *c)
{
    uint64_t at = atomic_load_explicit(&c->begun, memory_order_relaxed);
    c->frame += (frames)(c->last_frame(c->client) - (frames)c->frame);
    if (at - atomic_load_explicit(&c->told, memory_order_acquire) >= RING)
        return;
    c->periods[at % RING] = (struct period){c->frame, c->time()};
    atomic_store_explicit(&c->begun, at + 1, memory_order_release);
}

static int process(frames count, void *arg)
{
    struct jack_clock *c = arg;
    note_period(c);
    void *buffer = c->port_get_buffer(c->port, count);
    uint32_t events = c->event_count(buffer);
    for (uint32_t i = 0; i < events; i++) {
        midi_event e;
        if (c->event_get(&e, buffer, i) != 0 || !is_clock(&e))
            continue;
        uint64_t at = atomic_load_explicit(&c->written, memory_order_relaxed);
        if (at - atomic_load_explicit(&c->taken, memory_order_acquire) >= RING) {
            atomic_fetch_add_explicit(&c->lost, 1, memory_order_relaxed);
            continue;
        }
        struct message *m = &c->ring[at % RING];
        m->frame = c->frame + e.time;
        m->size = (uint8_t)e.size;
        memcpy(m->data, e.buffer, e.size);
        atomic_store_explicit(&c->written, at + 1, memory_order_release);
    }
    return 0;
}

static void shut_down(void *arg)
{
    struct jack_clock *c = arg;
    atomic_store(&c->gone, 1);
}

/* All of libjack that is needed; whether all of it is there. */
static int find(struct jack_clock *c)
{
    const char *names[] = {"libjack.so.0", "libjack.so", "libjack.0.dylib", "libjack.dylib"};
    for (size_t i = 0; i < sizeof names / sizeof *names && !c->library; i++)
        c->library = dlopen(names[i], RTLD_NOW | RTLD_LOCAL);
    if (!c->library)
        return 0;
    struct {
        const char *name;
        void **where;
    } wanted[] = {
        {"jack_port_get_buffer", (void **)&c->port_get_buffer},
        {"jack_midi_get_event_count", (void **)&c->event_count},
        {"jack_midi_event_get", (void **)&c->event_get},
        {"jack_last_frame_time", (void **)&c->last_frame},
        {"jack_get_sample_rate", (void **)&c->rate},
        {"jack_get_time", (void **)&c->time},
        {"jack_get_ports", (void **)&c->get_ports},
        {"jack_connect", (void **)&c->connect},
        {"jack_port_name", (void **)&c->port_name},
        {"jack_port_connected_to", (void **)&c->connected},
        {"jack_client_close", (void **)&c->client_close},
        {"jack_free", (void **)&c->release},
    };
    for (size_t i = 0; i < sizeof wanted / sizeof *wanted; i++)
        if (!(*wanted[i].where = dlsym(c->library, wanted[i].name)))
            return 0;
    return 1;
}

/* A client of the running server with one input; NULL where there is no server, or no libjack. */
struct jack_clock *jack_clock_open(const char *name)
{
    struct jack_clock *c = calloc(1, sizeof *c);
    if (!c)
        return NULL;
    if (find(c)) {
        void *(*open)(const char *, int, void *, ...) =
            (void *(*)(const char *, int, void *, ...))dlsym(c->library, "jack_client_open");
        void *(*add)(void *, const char *, const char *, unsigned long, unsigned long) =
            (void *(*)(void *, const char *, const char *, unsigned long, unsigned long))dlsym(c->library, "jack_port_register");
        int (*set)(void *, int (*)(frames, void *), void *) =
            (int (*)(void *, int (*)(frames, void *), void *))dlsym(c->library, "jack_set_process_callback");
        void (*ends)(void *, void (*)(void *), void *) =
            (void (*)(void *, void (*)(void *), void *))dlsym(c->library, "jack_on_shutdown");
        int (*activate)(void *) = (int (*)(void *))dlsym(c->library, "jack_activate");
        if (open && add && set && ends && activate && (c->client = open(name, NO_START_SERVER, NULL))) {
            c->port = add(c->client, "in", MIDI, PORT_IS_INPUT, 0);
            ends(c->client, shut_down, c);
            if (c->port && set(c->client, process, c) == 0 && activate(c->client) == 0)
                return c;
        }
    }
    jack_clock_close(c);
    return NULL;
}

void jack_clock_close(struct jack_clock *c)
{
    if (c->client)
        c->client_close(c->client);
    if (c->library)
        dlclose(c->library);
    free(c);
}

/* The next period's first frame and when it was begun: late by as much as its thread woke late. Whether there was one. One thread. */
int jack_clock_period(struct jack_clock *c, uint64_t *frame, uint64_t *usec)
{
    uint64_t at = atomic_load_explicit(&c->told, memory_order_relaxed);
    if (at == atomic_load_explicit(&c->begun, memory_order_acquire))
        return 0;
    *frame = c->periods[at % RING].frame;
    *usec = c->periods[at % RING].usec;
    atomic_store_explicit(&c->told, at + 1, memory_order_release);
    return 1;
}

uint32_t jack_clock_rate(struct jack_clock *c)
{
    return c->rate(c->client);
}

/* The next message: its size, 0 for none. data holds three bytes. One thread. */
int jack_clock_next(struct jack_clock *c, uint64_t *frame, uint8_t *data)
{
    uint64_t at = atomic_load_explicit(&c->taken, memory_order_relaxed);
    if (at == atomic_load_explicit(&c->written, memory_order_acquire))
        return 0;
    const struct message *m = &c->ring[at % RING];
    int size = m->size;
    *frame = m->frame;
    memcpy(data, m->data, LONGEST);
    atomic_store_explicit(&c->taken, at + 1, memory_order_release);
    return size;
}

/* Whether the server has gone; then only close. */
int jack_clock_gone(struct jack_clock *c)
{
    return atomic_load(&c->gone);
}

/* JACK's clock, which its periods' times are of, in microseconds. */
uint64_t jack_clock_now(struct jack_clock *c)
{
    return c->time();
}

/* Messages that found the ring full. */
uint64_t jack_clock_lost(struct jack_clock *c)
{
    return atomic_load(&c->lost);
}

/* 0, also where the port is connected already, or JACK's code. */
int jack_clock_connect(struct jack_clock *c, const char *port)
{
    return c->connected(c->port, port) ? 0 : c->connect(c->client, port, c->port_name(c->port));
}

/* Names of all ports that MIDI comes out of, ended by NULL; to be given to forget. NULL where there are none. */
const char **jack_clock_ports(struct jack_clock *c)
{
    return c->get_ports(c->client, NULL, MIDI, PORT_IS_OUTPUT);
}

void jack_clock_forget(struct jack_clock *c, const char **ports)
{
    c->release(ports);
}
