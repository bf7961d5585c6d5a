/* The audio thread's side of the package: a PortAudio callback that copies between the device's
 * buffers and two rings that Go owns. It follows Go's Ring.Write, Ring.Read, RingSource.Capture and
 * Playout.Play step by step (a test compares them) and never waits, locks, allocates or calls Go. */
#ifndef AUTOVOICE_ENGINE_H
#define AUTOVOICE_ENGINE_H

#include <portaudio.h>
#include <stdint.h>

/* The memory of stream's Ring, RingSource and Playout as C sees it. It is Go's, and pinned while an
 * engine points at it. */
typedef struct {
  uint32_t *words;
  uint64_t mask, capacity;
  uint64_t *claim, *head, *gap, *version, *tail, *dropped, *want;
  int64_t *origin;
  uint32_t *closed;
} av_ring;

typedef struct {
  av_ring ring; /* words == NULL: no capture */
  uint64_t *booked, *gaps;
} av_capture;

typedef struct {
  av_ring ring; /* words == NULL: no playout */
  int64_t *target;
  uint32_t *playing, *draining;
  uint64_t *underruns, *silence;
} av_playout;

#define AV_OCTAVE 16 /* gap buckets an octave */
#define AV_BUCKETS (AV_OCTAVE * 24) /* of 1 us to 16 s */

/* What Go reads. Each counter is written by the callback alone. */
typedef struct {
  uint64_t callbacks;
  uint64_t frames;           /* in the last callback */
  uint64_t xruns;            /* callbacks with any of these flags */
  uint64_t input_underflow, input_overflow, output_underflow, output_overflow;
  int64_t input_latency_ns;  /* from the microphone to the callback, as the device says */
  int64_t output_latency_ns; /* from the callback to the loudspeaker */
  uint64_t gap_max_ns;       /* longest time between two callbacks */
  uint64_t busy_max_ns;      /* longest callback */
  uint64_t gaps[AV_BUCKETS];
} av_counters;

typedef struct {
  av_capture in;
  av_playout out;
  int in_channels, out_channels, average, rate;
  int bell;             /* eventfd that wakes the capture ring's reader; -1: none */
  int64_t clock_offset; /* stream clock minus CLOCK_MONOTONIC, ns */
  /* the callback's own */
  uint64_t rung;        /* the wish that was answered last */
  uint64_t seen, since; /* playout's head when it last moved, and silent frames played since */
  int started;
  int64_t floor;        /* ns: when capture's frame 0 was, by the promptest callback lately */
  int64_t last_ns;
  av_counters n;
} av_engine;

int av_callback(const void *in, void *out, unsigned long frames, const PaStreamCallbackTimeInfo *time,
                PaStreamCallbackFlags flags, void *engine);

/* av_flush forgets what playout holds: it waited while no device was there. No callback may run. */
void av_flush(av_engine *e);

/* av_count copies the counters while the callback may be running. */
void av_count(const av_engine *e, av_counters *to);

int64_t av_now(void); /* CLOCK_MONOTONIC, ns */

#endif
