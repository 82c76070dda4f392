/* The audio callback: rings, sources, fades, exits, and the applied log. It never allocates, locks, logs or waits.

   Thread: whichever drives the stream, one at a time. twin.py does the same in numpy, statement by statement, and a test
   drives both; so gains are computed in double, rounded once to float, and products are never contracted (see build_core.py). */

#include <math.h>
#include <stdint.h>
#include <string.h>
#include <time.h>
#ifdef _WIN32
#include <windows.h>
#endif
#include "core.h"

#if defined(__GNUC__) || defined(__clang__)
#define LOAD(p) __atomic_load_n((p), __ATOMIC_ACQUIRE)
#define STORE(p, v) __atomic_store_n((p), (v), __ATOMIC_RELEASE)
#define FENCE() __atomic_thread_fence(__ATOMIC_SEQ_CST)
#else /* MSVC: volatile has acquire and release meaning there */
#define LOAD(p) (*(const volatile int64_t *)(p))
#define STORE(p, v) (*(volatile int64_t *)(p) = (v))
#define FENCE() MemoryBarrier()
#endif

typedef struct { float *dry[2], *generated[2], *mix[2]; float *gain, *work[2], *out[2]; } scratch;

int64_t segue_load(const int64_t *place) { return LOAD(place); }
void segue_store(int64_t *place, int64_t value) { STORE(place, value); }
void segue_fence(void) { FENCE(); }

static float *at(segue_header *h, int64_t offset) { return (float *)((char *)h + offset); }

static int64_t modulo(int64_t a, int64_t b) { int64_t r = a % b; return r < 0 ? r + b : r; }

static int64_t least(int64_t a, int64_t b) { return a < b ? a : b; }
static int64_t most(int64_t a, int64_t b) { return a > b ? a : b; }

static scratch scratch_of(segue_header *h, segue_deck *d)
{
    scratch s;
    float *p = at(h, d->scratch_at), *master = at(h, h->deck[0].scratch_at);
    for (int c = 0; c < 2; c++) {
        s.dry[c] = p + c * h->block;
        s.generated[c] = p + (2 + c) * h->block;
        s.mix[c] = p + (4 + c) * h->block;
        s.work[c] = p + (6 + c) * h->block;
        s.out[c] = master + (9 + c) * h->block;
    }
    s.gain = p + 8 * h->block;
    return s;
}

static void clean(segue_header *h, float *x, int64_t n)
{
    for (int64_t i = 0; i < n; i++)
        if (!isfinite(x[i])) { x[i] = 0.0f; h->counters.nonfinite++; }
}

static void ring_read(const float *ring, int64_t capacity, int64_t channel, int64_t frame, float *to, int64_t n)
{
    int64_t place = modulo(frame, capacity), head = least(n, capacity - place);
    memcpy(to, ring + channel * capacity + place, (size_t)head * sizeof(float));
    memcpy(to + head, ring + channel * capacity, (size_t)(n - head) * sizeof(float));
}

static void ring_write(float *ring, int64_t capacity, int64_t channel, int64_t frame, const float *from, int64_t n)
{
    int64_t place = modulo(frame, capacity), head = least(n, capacity - place);
    memcpy(ring + channel * capacity + place, from, (size_t)head * sizeof(float));
    memcpy(ring + channel * capacity, from + head, (size_t)(n - head) * sizeof(float));
}

/* Gains. Frame p of a fade of `length` frames stands at (p + 1/2) / length, so that a fade and its reverse mirror. */

static double rising(const segue_header *h, uint32_t curve, double x)
{
    double y = x * SEGUE_CURVE;
    int64_t i = (int64_t)y;
    if (curve == CURVE_LINEAR) return x;
    return h->curve[i] + (h->curve[i + 1] - h->curve[i]) * (y - (double)i);
}

static double place(int64_t p, int64_t length) { return ((double)p + 0.5) / (double)length; }

static double voice_gain(const segue_header *h, const segue_deck *d, uint32_t v, int64_t frame)
{
    int64_t p = frame - d->fade_start;
    double w = d->voice[v].weight;
    if (p >= d->fade_length) return v == d->to ? 1.0 : 0.0;
    if (v == d->to) return w + (1.0 - w) * rising(h, d->curve, place(p, d->fade_length));
    if (w == 0.0 || p >= d->voice[v].length) return 0.0;
    return w * rising(h, d->curve, 1.0 - place(p, d->voice[v].length));
}

static double ramp_value(const segue_ramp *r, int64_t frame)
{
    int64_t p = frame - r->start;
    return p >= r->length ? r->after : r->before + (r->after - r->before) * place(p, r->length);
}

static void ramp_begin(segue_ramp *r, int64_t frame, double to, int64_t length)
{
    r->before = ramp_value(r, frame);
    r->after = to;
    r->start = frame;
    r->length = length;
}

/* Sources. */

static int is_slot(uint32_t v) { return v == VOICE_SLOT_A || v == VOICE_SLOT_B; }
static int is_loop(uint32_t v) { return v == VOICE_LOOP_0 || v == VOICE_LOOP_0 + 1; }

static uint32_t source_of(uint32_t v)
{
    return v <= VOICE_SLOT_B ? v : v == VOICE_SILENCE ? SILENCE : LOOP;
}

static int holds(const segue_slot *s, int64_t frame) { return s->first <= frame && frame < s->last; }

static uint32_t loop_voice(segue_deck *d)
{
    int64_t generation = LOAD(&d->loop_published);
    if (generation == 0 || d->loop[generation & 1].length <= 0) return VOICE_SILENCE;
    return VOICE_LOOP_0 + (uint32_t)(generation & 1);
}

static int gate_open(const segue_deck *d, int64_t frame) { return frame - d->loud_frame <= d->gate_hold; }

static uint32_t ladder(segue_deck *d, int64_t frame)
{
    uint32_t loop = loop_voice(d);
    return !gate_open(d, frame) && loop != VOICE_SILENCE ? loop : VOICE_DRY;
}

/* Sends the deck to voice `to` from its present mix, whatever fade is under way: present gains become weights that fall. */
static void fade_to(segue_header *h, segue_deck *d, int64_t frame, uint32_t to, int64_t length, uint32_t curve)
{
    double weight[VOICE_SILENCE + 1];
    for (uint32_t v = 0; v <= VOICE_SILENCE; v++) weight[v] = voice_gain(h, d, v, frame);
    for (uint32_t v = 0; v <= VOICE_SILENCE; v++) {
        d->voice[v].weight = length > 0 ? weight[v] : 0.0;
        d->voice[v].length = is_slot(v) ? least(length, d->seen[v - VOICE_SLOT_A].last - frame) : length;
    }
    d->fade_start = frame;
    d->fade_length = weight[to] == 1.0 ? 0 : length;
    d->curve = curve;
    d->to = to;
    d->until_gate = 0;
}

static void log_applied(segue_header *h, const segue_command *c, int64_t frame, uint32_t source, uint32_t status)
{
    int64_t count = h->log_count;
    segue_applied *a = &h->log[count % SEGUE_LOG];
    a->id = c->id;
    a->scheduled = c->frame;
    a->applied = frame;
    a->take = c->take;
    a->op = c->op;
    a->deck = c->deck;
    a->source = source;
    a->status = status;
    STORE(&h->log_count, count + 1);
}

/* Leaves a slot whose exit is due, or that has no such frame. Returns whether it did. */
static int leave_slot(segue_header *h, uint32_t deck, int64_t frame)
{
    segue_deck *d = &h->deck[deck];
    segue_command note;
    const segue_slot *s;
    uint32_t to;
    int64_t fade;
    int fallen = 1; /* by the ladder: the performer takes over again by playing */
    if (!is_slot(d->to)) return 0;
    s = &d->seen[d->to - VOICE_SLOT_A];
    memset(&note, 0, sizeof note);
    note.deck = deck;
    note.take = d->take;
    to = ladder(d, frame);
    if (!holds(s, frame)) {
        h->counters.underruns++;
        note.op = OP_UNDERRUN;
        note.frame = frame;
        fade = h->fade_frames;
    } else {
        const segue_slot *other = &d->seen[VOICE_SLOT_B - d->to];
        int64_t due = least(s->exit_frame, s->last - s->exit_fade);
        if (frame < due) return 0;
        note.op = OP_EXIT;
        note.frame = s->exit_frame;
        fade = least(s->exit_fade, s->last - frame);
        fallen = s->policy == EXIT_LADDER;
        if (s->policy == EXIT_DRY) to = VOICE_DRY;
        if (s->policy == EXIT_SILENCE) to = VOICE_SILENCE;
        if (s->policy == EXIT_LOOP && loop_voice(d) != VOICE_SILENCE) to = loop_voice(d);
        if (s->policy == EXIT_SLOT_OTHER && holds(other, frame)) to = VOICE_SLOT_A + (VOICE_SLOT_B - d->to);
    }
    fade_to(h, d, frame, to, fade, s->curve);
    d->until_gate = fallen && is_loop(to);
    d->take = is_slot(to) ? d->seen[to - VOICE_SLOT_A].take : 0;
    log_applied(h, &note, frame, source_of(to), APPLIED);
    return 1;
}

/* Commands. */

static uint32_t play(segue_header *h, const segue_command *c, int64_t frame)
{
    segue_deck *d = &h->deck[c->deck];
    uint32_t to = c->source, status = APPLIED;
    if (c->source == LOOP) to = loop_voice(d);
    if (c->source == SILENCE) to = VOICE_SILENCE;
    if ((is_slot(to) && !holds(&d->seen[to - VOICE_SLOT_A], frame)) || (c->source == LOOP && to == VOICE_SILENCE)) {
        h->counters.underruns++;
        to = ladder(d, frame);
        status = REDIRECTED;
    }
    if (to != d->to || frame - d->fade_start < d->fade_length) fade_to(h, d, frame, to, c->fade, c->curve);
    d->until_gate = status == REDIRECTED && is_loop(to);
    d->take = status == REDIRECTED ? 0 : c->take;
    log_applied(h, c, frame, source_of(to), status);
    return status;
}

static void cancel(segue_header *h, const segue_command *c, int64_t frame)
{
    uint32_t status = NOT_FOUND;
    int64_t kept = h->pending_first;
    for (int64_t i = kept; i < h->pending_end; i++) {
        if (h->pending[i].id == c->id) {
            log_applied(h, &h->pending[i], frame, h->pending[i].source, CANCELLED);
            status = APPLIED;
        } else h->pending[kept++] = h->pending[i];
    }
    h->pending_end = kept;
    log_applied(h, c, frame, c->source, status);
}

static void panic(segue_header *h, const segue_command *c, int64_t frame)
{
    int64_t kept = h->pending_first;
    for (int64_t i = kept; i < h->pending_end; i++) {
        if (h->pending[i].op == OP_PLAY) log_applied(h, &h->pending[i], frame, h->pending[i].source, CANCELLED);
        else h->pending[kept++] = h->pending[i];
    }
    h->pending_end = kept;
    for (uint32_t k = 0; k < h->decks; k++) {
        segue_deck *d = &h->deck[k];
        int open = gate_open(d, frame);
        fade_to(h, d, frame, open ? VOICE_DRY : VOICE_SILENCE, h->fade_frames, CURVE_POWER);
        d->take = 0;
        d->until_gate = !open;
    }
    log_applied(h, c, frame, c->source, APPLIED);
}

static void feed(segue_header *h, const segue_command *c, int64_t frame)
{
    segue_deck *d = &h->deck[c->deck];
    d->tape_before = d->tape;
    d->tape.kind = c->source;
    d->tape.file = c->take;
    d->tape.origin = frame;
    d->tape.position = c->position;
    d->tape_start = frame;
    d->tape_fade = c->fade;
    d->tape_curve = c->curve;
    log_applied(h, c, frame, c->source, APPLIED);
}

static void gain(segue_header *h, const segue_command *c, int64_t frame)
{
    segue_ramp *buses[] = { &h->deck[c->deck].gain, &h->dry_gain, &h->generated_gain, &h->thru };
    segue_ramp *r = buses[c->source];
    ramp_begin(r, frame, (double)c->gain, c->fade);
    log_applied(h, c, frame, c->source, APPLIED);
}

/* What the cue pair played before fades out where it is; nothing waits for it. */
static void cue(segue_header *h, const segue_command *c, int64_t frame)
{
    h->cue_before = h->cue;
    h->cue_before.fade = c->fade;
    h->cue_before.last = least(h->cue.last, h->cue.first + (frame - h->cue.start) + c->fade);
    h->cue.first = c->position;
    h->cue.last = c->position + c->take;
    h->cue.start = frame;
    h->cue.fade = c->fade;
    log_applied(h, c, frame, c->source, APPLIED);
}

static void apply(segue_header *h, const segue_command *c, int64_t frame)
{
    if (frame > c->frame) h->counters.late++;
    switch (c->op) {
    case OP_PLAY: play(h, c, frame); break;
    case OP_GAIN: gain(h, c, frame); break;
    case OP_PANIC: panic(h, c, frame); break;
    case OP_FEED: feed(h, c, frame); break;
    case OP_CUE: cue(h, c, frame); break;
    default: log_applied(h, c, frame, c->source, APPLIED);
    }
}

static int valid(const segue_header *h, const segue_command *c)
{
    uint32_t sources = c->op == OP_PLAY ? SILENCE : c->op == OP_GAIN ? BUS_THRU : c->op == OP_FEED ? TAPE_PAUSE : UINT32_MAX;
    if (c->op == OP_CUE && (h->cue_channel < 0 || c->position < 0 || c->take < 0 || c->take > h->cue_frames)) return 0;
    return c->op >= OP_PLAY && c->op <= OP_CUE && c->deck < h->decks && c->source <= sources && c->curve <= CURVE_LINEAR
        && c->fade >= 0 && isfinite(c->gain);
}

static void enter(segue_header *h, segue_command c)
{
    int64_t i = h->pending_end;
    if (c.frame < 0) c.frame = h->frame;
    if (!valid(h, &c) || (i == SEGUE_PENDING && c.op != OP_CANCEL)) {
        if (valid(h, &c)) h->counters.pending_overflows++;
        else h->counters.refused++;
        log_applied(h, &c, h->frame, c.source, REFUSED);
        return;
    }
    if (c.op == OP_CANCEL) { cancel(h, &c, h->frame); return; }
    while (i > h->pending_first && h->pending[i - 1].frame > c.frame) i--;
    memmove(&h->pending[i + 1], &h->pending[i], (size_t)(h->pending_end - i) * sizeof(segue_command));
    h->pending[i] = c;
    h->pending_end++;
}

/* At most SEGUE_DRAIN a block, so that a flood costs bounded time; the rest waits in the queue, and a full queue is refused. */
static void drain(segue_header *h)
{
    int64_t tail = h->queue_tail, head = least(LOAD(&h->queue_head), tail + SEGUE_DRAIN);
    h->pending_end -= h->pending_first;
    memmove(h->pending, h->pending + h->pending_first, (size_t)h->pending_end * sizeof(segue_command));
    h->pending_first = 0;
    for (; tail < head; tail++) enter(h, h->queue[tail % SEGUE_QUEUE]);
    STORE(&h->queue_tail, tail);
}

static void see_slots(segue_deck *d)
{
    for (int k = 0; k < 2; k++)
        for (int attempt = 0; attempt < 4; attempt++) {
            int64_t before = LOAD(&d->slot[k].sequence);
            segue_slot copy = d->slot[k];
            FENCE();
            if (!(before & 1) && LOAD(&d->slot[k].sequence) == before) {
                copy.sequence = before;
                d->seen[k] = copy;
                break;
            }
        }
}

/* The deck's input. */

static int bank_holds(const segue_header *h, segue_bank *b, int64_t file, int64_t position)
{
    if (LOAD(&b->file) != file || position >= LOAD(&b->written)) return 0;
    return position >= most(b->start, LOAD(&b->reserved) - h->feed_frames) && LOAD(&b->file) == file;
}

static void tape_read(segue_header *h, segue_deck *d, segue_tape *t, const float *in, int64_t frame, int64_t n, float *to[2])
{
    for (int c = 0; c < 2; c++) {
        int32_t channel = d->in_channel[c];
        if (t->kind == TAPE_LIVE && in && channel >= 0)
            for (int64_t i = 0; i < n; i++) to[c][i] = in[i * h->in_channels + channel];
        else
            memset(to[c], 0, (size_t)n * sizeof(float));
    }
    for (int64_t i = 0; t->kind == TAPE_PLAY && i < n;) {
        int64_t position = t->position + (frame + i - t->origin), run = 1;
        segue_bank *b = &d->bank[t->bank & 1];
        if (!bank_holds(h, b, t->file, position) && bank_holds(h, &d->bank[~t->bank & 1], t->file, position)) {
            t->bank = ~t->bank & 1;
            b = &d->bank[t->bank];
        }
        if (bank_holds(h, b, t->file, position)) {
            run = least(n - i, LOAD(&b->written) - position);
            for (int c = 0; c < 2; c++)
                ring_read(at(h, d->feed_at[t->bank & 1]), h->feed_frames, c, position, to[c] + i, run);
        } else if (position >= 0 && (b->file != t->file || position < b->length)) {
            h->counters.feed_underruns++;
        }
        i += run;
    }
}

static void read_input(segue_header *h, segue_deck *d, scratch *s, const float *in, int64_t frame, int64_t n)
{
    int fading = frame - d->tape_start < d->tape_fade;
    tape_read(h, d, &d->tape, in, frame, n, s->dry);
    if (fading) tape_read(h, d, &d->tape_before, in, frame, n, s->work);
    for (int c = 0; c < 2; c++) {
        clean(h, s->dry[c], n);
        if (fading) clean(h, s->work[c], n);
        for (int64_t i = 0; fading && i < n; i++) {
            double x = place(frame + i - d->tape_start, d->tape_fade);
            s->dry[c][i] = s->dry[c][i] * (float)rising(h, d->tape_curve, x)
                + s->work[c][i] * (float)rising(h, d->tape_curve, 1.0 - x);
        }
        ring_write(at(h, d->input_at), h->ring_frames, c, frame, s->dry[c], n);
        for (int64_t i = 0; i < n; i++) {
            float level = fabsf(s->dry[c][i]);
            if (level > d->input_peak) d->input_peak = level;
            if (level >= d->gate_threshold) d->loud_frame = most(d->loud_frame, frame + i);
            d->input_square += (double)level * level;
        }
    }
}

/* The deck's mix. */

static void read_voice(segue_header *h, segue_deck *d, uint32_t v, int64_t frame, int64_t n, float *to[2])
{
    if (is_slot(v)) {
        const segue_slot *s = &d->seen[v - VOICE_SLOT_A];
        int64_t from = least(most(frame, s->first), frame + n), until = most(least(frame + n, s->last), from);
        h->counters.underruns += n - (until - from);
        for (int c = 0; c < 2; c++) {
            memset(to[c], 0, (size_t)n * sizeof(float));
            ring_read(at(h, d->slot_at[v - VOICE_SLOT_A]), h->slot_frames, c, from, to[c] + (from - frame), until - from);
        }
    } else {
        const segue_loop *l = &d->loop[v - VOICE_LOOP_0];
        for (int64_t i = 0; i < n;) {
            int64_t phase = modulo(frame + i - l->origin, l->length), run = least(n - i, l->length - phase);
            for (int c = 0; c < 2; c++)
                memcpy(to[c] + i, at(h, d->loop_at[v - VOICE_LOOP_0]) + c * h->loop_frames + phase, (size_t)run * sizeof(float));
            i += run;
        }
    }
    for (int c = 0; c < 2; c++) clean(h, to[c], n);
}

static int sounds(const segue_deck *d, uint32_t v, int64_t frame)
{
    int64_t p = frame - d->fade_start;
    if (v == d->to) return v != VOICE_SILENCE;
    return v != VOICE_SILENCE && p < d->fade_length && d->voice[v].weight != 0.0 && p < d->voice[v].length;
}

/* Adds voice v to part[]; the first of a part is assigned, so that a lone source at gain 1 keeps its very bits. */
static void add_voice(segue_header *h, segue_deck *d, uint32_t v, int64_t frame, int64_t n, scratch *s, float *part[2], int first)
{
    int fading = frame - d->fade_start < d->fade_length;
    float **from = v == VOICE_DRY ? s->dry : s->work;
    if (v != VOICE_DRY) read_voice(h, d, v, frame, n, s->work);
    for (int64_t i = 0; fading && i < n; i++) s->gain[i] = (float)voice_gain(h, d, v, frame + i);
    for (int c = 0; c < 2; c++)
        for (int64_t i = 0; i < n; i++) {
            float x = fading ? from[c][i] * s->gain[i] : from[c][i];
            part[c][i] = first ? x : part[c][i] + x;
        }
}

/* What passes in any case, of a live input: with a file it goes as the file's sound comes. */

static int passes(const segue_header *h, const segue_deck *d, int64_t frame)
{
    int on = h->thru.after != 0.0 || frame - h->thru.start < h->thru.length;
    int fading = frame - d->tape_start < d->tape_fade;
    return on && (d->tape.kind == TAPE_LIVE || (fading && d->tape_before.kind == TAPE_LIVE));
}

static double live_share(const segue_header *h, const segue_deck *d, int64_t frame)
{
    int now = d->tape.kind == TAPE_LIVE, before = d->tape_before.kind == TAPE_LIVE;
    double x;
    if (now == before || frame - d->tape_start >= d->tape_fade) return now;
    x = place(frame - d->tape_start, d->tape_fade);
    return rising(h, d->tape_curve, now ? x : 1.0 - x);
}

static void add_thru(segue_header *h, segue_deck *d, int64_t frame, int64_t n, scratch *s)
{
    for (int64_t i = 0; i < n; i++) {
        double g = voice_gain(h, d, VOICE_DRY, frame + i), t = ramp_value(&h->thru, frame + i) * live_share(h, d, frame + i);
        s->gain[i] = (float)(g + (1.0 - g) * t);
    }
    for (int c = 0; c < 2; c++)
        for (int64_t i = 0; i < n; i++) s->dry[c][i] = s->dry[c][i] * s->gain[i];
}

static float product(const segue_ramp *a, const segue_ramp *b, int64_t frame)
{
    return (float)(ramp_value(a, frame) * ramp_value(b, frame));
}

/* parts: bit 0 dry, bit 1 generated. Writes to the master, or to the deck's own channels. */
static void send(segue_header *h, uint32_t deck, int64_t frame, int64_t n, scratch *s, int parts, int *written, float *out)
{
    segue_deck *d = &h->deck[deck];
    for (int c = 0; c < 2 && parts; c++)
        for (int64_t i = 0; i < n; i++) {
            float x = 0.0f;
            if (parts & 1) x = s->dry[c][i] * product(&d->gain, &h->dry_gain, frame + i);
            if (parts & 2) {
                float g = s->generated[c][i] * product(&d->gain, &h->generated_gain, frame + i);
                x = parts & 1 ? x + g : g;
            }
            if (!isfinite(x)) { x = 0.0f; h->counters.nonfinite++; }
            if (h->per_deck_out) out[i * h->out_channels + 2 * deck + (uint32_t)c] = x;
            else s->out[c][i] = *written ? s->out[c][i] + x : x;
        }
    if (parts) *written = 1;
}

static void render_deck(segue_header *h, uint32_t deck, const float *in, float *out, int64_t frame, int64_t n, int *written)
{
    segue_deck *d = &h->deck[deck];
    scratch s = scratch_of(h, d);
    int generated = 0, thru = passes(h, d, frame), dry;
    read_input(h, d, &s, in, frame, n);
    for (uint32_t v = VOICE_SLOT_A; v < VOICE_SILENCE; v++)
        if (sounds(d, v, frame)) {
            add_voice(h, d, v, frame, n, &s, s.generated, !generated);
            generated = 1;
        }
    dry = thru || sounds(d, VOICE_DRY, frame);
    if (thru) add_thru(h, d, frame, n, &s);
    else if (dry) add_voice(h, d, VOICE_DRY, frame, n, &s, s.dry, 1);
    for (int c = 0; c < 2; c++) {
        for (int64_t i = 0; i < n; i++) {
            float x = dry ? s.dry[c][i] : generated ? s.generated[c][i] : 0.0f, level;
            if (dry && generated) x = x + s.generated[c][i];
            if (!isfinite(x)) { x = 0.0f; h->counters.nonfinite++; }
            s.mix[c][i] = x;
            level = fabsf(x);
            if (level > d->sounded_peak) d->sounded_peak = level;
            d->sounded_square += (double)level * level;
        }
        ring_write(at(h, d->sounded_at), h->ring_frames, c, frame, s.mix[c], n);
    }
    send(h, deck, frame, n, &s, dry | generated << 1, written, out);
}

static double cue_gain(const segue_cue *q, int64_t frame)
{
    int64_t p = frame - q->start, left = q->last - q->first - p - 1;
    double rise = p < q->fade ? place(p, q->fade) : 1.0;
    return left < q->fade ? rise * place(left, q->fade) : rise;
}

/* Adds what a cue plays in frames [frame, frame + n) to the cue pair. */
static void render_cue(segue_header *h, const segue_cue *q, float *out, int64_t frame, int64_t n)
{
    const float *memory = at(h, h->cue_at);
    int64_t end = least(frame + n, q->start + (q->last - q->first));
    for (int64_t f = most(frame, q->start); f < end; f++) {
        int64_t p = modulo(q->first + (f - q->start), h->cue_frames);
        float g = (float)cue_gain(q, f);
        for (int c = 0; c < 2; c++) {
            float x = memory[c * h->cue_frames + p] * g;
            float *to = &out[(f - frame) * h->out_channels + h->cue_channel + c];
            if (!isfinite(x)) { x = 0.0f; h->counters.nonfinite++; }
            *to = *to + x;
        }
    }
}

static void render_cues(segue_header *h, float *out, int64_t frame, int64_t n)
{
    if (h->cue_channel < 0) return;
    render_cue(h, &h->cue_before, out, frame, n);
    render_cue(h, &h->cue, out, frame, n);
}

static void render(segue_header *h, const float *in, float *out, int64_t frame, int64_t n)
{
    scratch s = scratch_of(h, &h->deck[0]);
    int written = 0;
    for (uint32_t k = 0; k < h->decks; k++) render_deck(h, k, in, out, frame, n, &written);
    if (h->per_deck_out || !written) return;
    for (int64_t i = 0; i < n; i++)
        for (int c = 0; c < 2; c++) {
            float x = s.out[c][i];
            if (!isfinite(x)) { x = 0.0f; h->counters.nonfinite++; }
            if (fabsf(x) > h->master_peak) h->master_peak = fabsf(x);
            if ((uint32_t)c < h->out_channels) out[i * h->out_channels + c] = x;
        }
}

/* The next end of a fade: of a slot that ends before the others it ends where the slot does. */
static int64_t fade_end(const segue_deck *d, int64_t frame, int64_t end)
{
    for (uint32_t v = VOICE_SLOT_A; v <= VOICE_SLOT_B; v++) {
        int64_t last = d->fade_start + d->voice[v].length;
        if (sounds(d, v, frame) && v != d->to && last > frame) end = least(end, last);
    }
    return d->fade_start + d->fade_length > frame ? least(end, d->fade_start + d->fade_length) : end;
}

/* What happens at `frame`; returns the next frame at which something happens, at most `end`. */
static int64_t happen(segue_header *h, int64_t frame, int64_t end)
{
    while (h->pending_first < h->pending_end && h->pending[h->pending_first].frame <= frame) {
        segue_command c = h->pending[h->pending_first++];
        apply(h, &c, frame);
    }
    if (h->pending_first < h->pending_end) end = least(end, h->pending[h->pending_first].frame);
    for (uint32_t k = 0; k < h->decks; k++) {
        segue_deck *d = &h->deck[k];
        if (d->until_gate && gate_open(d, frame)) fade_to(h, d, frame, VOICE_DRY, h->fade_frames, CURVE_POWER);
        for (int hop = 0; hop < 3 && leave_slot(h, k, frame); hop++) {}
        if (is_slot(d->to)) {
            const segue_slot *s = &d->seen[d->to - VOICE_SLOT_A];
            int64_t due = least(s->exit_frame, s->last - s->exit_fade);
            if (due > frame) end = least(end, due);
        }
        end = fade_end(d, frame, end);
        if (d->tape_start + d->tape_fade > frame) end = least(end, d->tape_start + d->tape_fade);
    }
    return end;
}

static void chunk(segue_header *h, const float *in, float *out, int64_t n)
{
    int64_t frame = h->frame, end = frame + n;
    drain(h);
    h->master_peak = 0.0f;
    for (uint32_t k = 0; k < h->decks; k++) {
        segue_deck *d = &h->deck[k];
        see_slots(d);
        d->input_peak = d->sounded_peak = 0.0f;
        d->input_square = d->sounded_square = 0.0;
        STORE(&d->input_reserved, end);
        STORE(&d->sounded_reserved, end);
    }
    FENCE();
    memset(out, 0, (size_t)n * h->out_channels * sizeof(float));
    while (frame < end) {
        int64_t next = happen(h, frame, end), done = frame - h->frame;
        render(h, in ? in + done * h->in_channels : NULL, out + done * h->out_channels, frame, next - frame);
        render_cues(h, out + done * h->out_channels, frame, next - frame);
        frame = next;
    }
    for (uint32_t k = 0; k < h->decks; k++) {
        segue_deck *d = &h->deck[k];
        d->input_square /= (double)(2 * n);
        d->sounded_square /= (double)(2 * n);
        d->gate_open = (uint32_t)gate_open(d, end);
        STORE(&d->input_written, end);
        STORE(&d->sounded_written, end);
    }
    STORE(&h->frame, end);
}

/* Callbacks come late, never early: where even the earliest of a window is a block later than the earliest before it,
   the stream lost whole blocks. The slow creep lets the base follow a device slower than its nominal rate. */
static void notice_gap(segue_header *h, int64_t n, int64_t monotonic)
{
    int64_t rate = h->rate, second = 1000000000, block = n * second / rate;
    int64_t offset = monotonic - (h->frame / rate * second + h->frame % rate * second / rate);
    if (h->window_count == 0 || offset < h->window_min_ns) h->window_min_ns = offset;
    if (++h->window_count < SEGUE_WINDOW) return;
    h->window_count = 0;
    if (h->base_ns == 0 || h->window_min_ns < h->base_ns + block) {
        h->base_ns = h->base_ns == 0 ? h->window_min_ns : least(h->window_min_ns, h->base_ns + SEGUE_WINDOW * block / 1000);
        return;
    }
    h->counters.gap_xruns++;
    h->counters.lost_frames += (h->window_min_ns - h->base_ns) / block * n;
    h->base_ns = h->window_min_ns;
}

void segue_process(segue_header *h, const float *in, float *out, uint32_t n, int64_t monotonic, int64_t realtime)
{
    if (n == 0) return;
    STORE(&h->sequence, h->sequence | 1); /* odd already where a process was killed in here */
    FENCE();
    h->counters.callbacks++;
    notice_gap(h, n, monotonic);
    h->clock_frame = h->frame;
    h->clock_monotonic = monotonic;
    h->clock_realtime = realtime;
    h->clock_block = n;
    for (uint32_t done = 0, part; done < n; done += part) {
        part = n - done < h->block ? n - done : h->block;
        chunk(h, in ? in + (size_t)done * h->in_channels : NULL, out + (size_t)done * h->out_channels, part);
    }
    STORE(&h->sequence, h->sequence + 1);
}

#ifdef _WIN32
static void clocks(int64_t *monotonic, int64_t *realtime)
{
    LARGE_INTEGER count, rate;
    FILETIME wall;
    QueryPerformanceFrequency(&rate);
    QueryPerformanceCounter(&count);
    GetSystemTimePreciseAsFileTime(&wall);
    *monotonic = count.QuadPart / rate.QuadPart * 1000000000 + count.QuadPart % rate.QuadPart * 1000000000 / rate.QuadPart;
    *realtime = ((int64_t)((uint64_t)wall.dwHighDateTime << 32 | wall.dwLowDateTime) - 116444736000000000) * 100;
}
static int64_t worked(void) { return 0; }
#else
#ifdef __APPLE__
#define STEADY CLOCK_UPTIME_RAW /* what Python's time.monotonic_ns reads there */
#else
#define STEADY CLOCK_MONOTONIC
#endif
static int64_t nanoseconds(clockid_t clock)
{
    struct timespec t;
    clock_gettime(clock, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}
static void clocks(int64_t *monotonic, int64_t *realtime)
{
    *monotonic = nanoseconds(STEADY);
    *realtime = nanoseconds(CLOCK_REALTIME);
}
static int64_t worked(void) { return nanoseconds(CLOCK_THREAD_CPUTIME_ID); }
#endif

void segue_run(segue_header *h, const float *in, float *out, uint32_t n)
{
    int64_t began, wall, ended, spent, cpu = worked(), period = (int64_t)n * 1000000000 / (int64_t)h->rate;
    clocks(&began, &wall);
    segue_process(h, in, out, n, began, wall);
    clocks(&ended, &wall);
    spent = ended - began;
    cpu = worked() - cpu; /* less than spent by what the machine gave to others meanwhile */
    h->counters.max_ns = most(h->counters.max_ns, spent);
    h->counters.max_cpu_ns = most(h->counters.max_cpu_ns, cpu);
    if (spent > period) h->counters.over_period++;
    if (cpu > period) h->counters.over_period_cpu++;
}

int segue_callback(const void *in, void *out, unsigned long n, const void *times, unsigned long flags, void *segment)
{
    segue_header *h = (segue_header *)segment;
    (void)times;
    if (flags & 15UL) h->counters.status_xruns++; /* paInputUnderflow .. paOutputOverflow */
    segue_run(h, (const float *)in, (float *)out, (uint32_t)n);
    return 0; /* paContinue */
}
