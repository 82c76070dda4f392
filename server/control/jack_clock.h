/* The messages of MIDI clocks on JACK, each with the frame it was meant for, and when JACK's periods began. Included by jack_clock.c and read by cffi. */

struct jack_clock *jack_clock_open(const char *name);
void jack_clock_close(struct jack_clock *clock);
int jack_clock_next(struct jack_clock *clock, uint64_t *frame, uint8_t *data);
int jack_clock_period(struct jack_clock *clock, uint64_t *frame, uint64_t *usec);
uint32_t jack_clock_rate(struct jack_clock *clock);
int jack_clock_gone(struct jack_clock *clock);
uint64_t jack_clock_now(struct jack_clock *clock);
uint64_t jack_clock_lost(struct jack_clock *clock);
int jack_clock_connect(struct jack_clock *clock, const char *port);
const char **jack_clock_ports(struct jack_clock *clock);
void jack_clock_forget(struct jack_clock *clock, const char **ports);
