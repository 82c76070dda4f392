/* The layout of the shared segment, and what core.c offers. Declarations only, so that cffi reads this file as it stands.

   Positions are frames since the stream began, 64 bit, never wrapped. Ring place = frame modulo capacity.
   Who writes what: [cb] the audio callback, [ctl] the control process, [feed] the feeder thread, [once] whoever creates. */

#define SEGUE_MAGIC 1397049173
#define SEGUE_DECKS 8
#define SEGUE_QUEUE 1024
#define SEGUE_PENDING 1024
#define SEGUE_DRAIN 256
#define SEGUE_LOG 4096
#define SEGUE_CURVE 4096
#define SEGUE_WINDOW 32
#define SEGUE_PATH 1024
#define SEGUE_SENTENCE 256

typedef enum { OP_PLAY = 1, OP_GAIN, OP_CANCEL, OP_PANIC, OP_FEED, OP_MARK, OP_CUE, OP_EXIT, OP_UNDERRUN } segue_op;
typedef enum { DRY = 0, SLOT_A, SLOT_B, LOOP, SILENCE } segue_source;
typedef enum { VOICE_DRY = 0, VOICE_SLOT_A, VOICE_SLOT_B, VOICE_LOOP_0, VOICE_LOOP_1, VOICE_SILENCE } segue_voice_index;
typedef enum { EXIT_LADDER = 0, EXIT_DRY, EXIT_LOOP, EXIT_SLOT_OTHER, EXIT_SILENCE } segue_policy;
typedef enum { CURVE_POWER = 0, CURVE_LINEAR } segue_curve;
typedef enum { BUS_DECK = 0, BUS_DRY, BUS_GENERATED, BUS_THRU } segue_bus;
typedef enum { TAPE_LIVE = 0, TAPE_PLAY, TAPE_PAUSE } segue_tape_kind;
typedef enum { APPLIED = 0, CANCELLED, REFUSED, NOT_FOUND, REDIRECTED } segue_status;
typedef enum { FILE_EMPTY = 0, FILE_LOADING, FILE_READY, FILE_FAILED } segue_file_state;
typedef enum { STREAM_STARTING = 0, STREAM_RUNNING, STREAM_LOST, STREAM_STOPPED } segue_stream_state;

/* A command to the callback. frame -1: as soon as possible. source: segue_source of OP_PLAY, segue_bus of OP_GAIN,
   segue_tape_kind of OP_FEED. take: file id of OP_FEED, frames of OP_CUE (0: silence). position: file frame of OP_FEED, place in
   the cue memory of OP_CUE. */
typedef struct {
    int64_t frame, id, take, position, fade;
    uint32_t op, deck, source, curve;
    float gain;
    uint32_t unused;
} segue_command;

typedef struct {
    int64_t id, scheduled, applied, take;
    uint32_t op, deck, source, status;
} segue_applied;

/* Which frames of a play slot may sound, [first, last), and how the deck leaves it. sequence: odd while written. */
typedef struct {
    int64_t sequence, take, first, last, exit_frame, exit_fade;
    uint32_t policy, curve;
} segue_slot;

typedef struct { int64_t length, origin; } segue_loop;

/* A stretch of a file: positions [max(start, reserved - capacity), written) of file `file`, which is `length` long. */
typedef struct { int64_t file, length, start, reserved, written; } segue_bank;

/* What a deck's input is: the device, or file position `position` at stream frame `origin`, moving or at rest. */
typedef struct {
    int64_t file, origin, position;
    uint32_t kind, bank;
} segue_tape;

typedef struct { double before, after; int64_t start, length; } segue_ramp;

/* A source that fades out: its gain when the fade began, and how many frames its fade-out takes. */
typedef struct { double weight; int64_t length; } segue_voice;

/* What the cue pair plays: places [first, last) of the cue memory, from stream frame `start` on, faded at both ends. */
typedef struct { int64_t first, last, start, fade; } segue_cue;

/* A request to the feeder [ctl] and its answer [feed]; both sequences are odd while written. */
typedef struct {
    int64_t sequence, position;
    int64_t answer, ticket, file, length, cue;
    uint32_t state, unused;
    char path[SEGUE_PATH];
    char sentence[SEGUE_SENTENCE];
} segue_mailbox;

typedef struct {
    int64_t input_reserved, input_written, sounded_reserved, sounded_written; /* [cb] */
    segue_slot slot[2];      /* [ctl] */
    segue_slot seen[2];      /* [cb] its last whole copy of slot */
    segue_loop loop[2];      /* [ctl] */
    int64_t loop_published;  /* [ctl] 0: none, else a generation whose lowest bit is the half */
    segue_bank bank[2];      /* [feed] */
    segue_tape tape, tape_before; /* [cb] from here on, unless said */
    int64_t tape_start, tape_fade;
    segue_voice voice[6];
    int64_t fade_start, fade_length, take;
    uint32_t to, curve, tape_curve, until_gate;
    segue_ramp gain;
    int64_t loud_frame;
    int64_t gate_hold;       /* [ctl] frames */
    float gate_threshold;    /* [ctl] linear peak */
    uint32_t gate_open;
    float input_peak, sounded_peak;
    double input_square, sounded_square; /* mean squares over the last block */
    int64_t input_at, sounded_at, slot_at[2], loop_at[2], feed_at[2], scratch_at; /* [once] byte offsets */
    int32_t in_channel[2];   /* [ctl] device channel of left and right, -1: none */
    segue_mailbox mailbox;
} segue_deck;

typedef struct {
    int64_t callbacks, over_period, over_period_cpu, max_ns, max_cpu_ns, status_xruns, gap_xruns, lost_frames, late, underruns, feed_underruns,
        nonfinite, pending_overflows, refused; /* [cb] */
    int64_t queue_refusals; /* [ctl] */
    int64_t restarts;       /* [audio process] */
} segue_counters;

typedef struct {
    uint32_t magic, layout; /* [once] layout: the size of this struct, which tells versions apart */
    int64_t bytes;
    uint32_t rate, block, decks, in_channels, out_channels, per_deck_out; /* [once] */
    int64_t ring_frames, slot_frames, loop_frames, feed_frames, cue_frames;
    int64_t cue_at, cue_channel; /* [once] byte offset, and the first of the cue pair's output channels, -1: none */
    segue_cue cue, cue_before; /* [cb] */
    int64_t fade_frames;    /* [once] of panic and of an exit that had no time for its own */
    int64_t frame;          /* [cb] the next frame to be processed */
    int64_t sequence;       /* [cb] odd while a block is processed */
    int64_t clock_frame, clock_monotonic, clock_realtime, clock_block; /* [cb] */
    int64_t base_ns, window_min_ns, window_count; /* [cb] for lost frames */
    int64_t queue_head;     /* [ctl] */
    int64_t queue_tail;     /* [cb] */
    int64_t pending_first, pending_end; /* [cb] what pends is pending[first .. end), by frame, then by arrival */
    int64_t log_count;      /* [cb] */
    segue_ramp dry_gain, generated_gain, thru; /* [cb] thru: how much of live inputs passes whatever else plays */
    segue_counters counters;
    float master_peak;      /* [cb] */
    uint32_t stream_state, stop, unused; /* [audio process], [ctl] */
    char sentence[SEGUE_SENTENCE]; /* [audio process] */
    double curve[SEGUE_CURVE + 1]; /* [once] a quarter of a sine */
    segue_command queue[SEGUE_QUEUE];
    segue_command pending[SEGUE_PENDING];
    segue_applied log[SEGUE_LOG];
    segue_deck deck[SEGUE_DECKS];
} segue_header;

/* One call of any length. in: [n][in_channels] or NULL; out: [n][out_channels]; times in ns at its beginning. */
void segue_process(segue_header *h, const float *in, float *out, uint32_t n, int64_t monotonic, int64_t realtime);
/* The same by the machine's clocks, timed. */
void segue_run(segue_header *h, const float *in, float *out, uint32_t n);
/* A PaStreamCallback whose userdata is the segment. */
int segue_callback(const void *in, void *out, unsigned long n, const void *times, unsigned long flags, void *segment);
/* Ordered access for Python: acquire, release, and both fences. */
int64_t segue_load(const int64_t *place);
void segue_store(int64_t *place, int64_t value);
void segue_fence(void);
