#include "engine.h"

#include <string.h>
#include <time.h>
#include <unistd.h>

/* Single words: sequentially consistent like Go's, except the samples, which fences order. */
#define LOAD(p) __atomic_load_n((p), __ATOMIC_SEQ_CST)
#define STORE(p, v) __atomic_store_n((p), (v), __ATOMIC_SEQ_CST)
#define ADD(p, v) __atomic_store_n((p), *(p) + (v), __ATOMIC_RELAXED) /* one writer: no lock prefix */

int64_t av_now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static int64_t frames_ns(uint64_t n, uint64_t rate) {
  return (int64_t)(n / rate * 1000000000u + n % rate * 1000000000u / rate);
}

static uint64_t least(uint64_t a, uint64_t b) { return a < b ? a : b; }

/* mono makes one sample of the channels; a device without data gives silence. */
static float mono(const av_engine *e, const float *const *in, uint64_t i) {
  if (!in) return 0;
  if (!e->average || e->in_channels < 2) return in[0][i];
  return 0.5f * (in[0][i] + in[1][i]);
}

/* capture is RingSource.Capture: the reader finds what was lost, so it always succeeds. */
static void capture(av_engine *e, const float *const *in, uint64_t frames, int64_t at) {
  av_ring *r = &e->in.ring;
  if (LOAD(r->closed)) return;
  __atomic_fetch_add(e->in.booked, frames, __ATOMIC_SEQ_CST); /* before the reader can see them */
  uint64_t h = LOAD(r->head), done = 0;
  STORE(r->origin, at - frames_ns(h, (uint64_t)e->rate));
  while (done < frames) {
    uint64_t n = least(frames - done, r->capacity);
    STORE(r->claim, h + n);
    __atomic_thread_fence(__ATOMIC_RELEASE);
    for (uint64_t i = 0; i < n; i++) {
      float s = mono(e, in, done + i);
      uint32_t word;
      memcpy(&word, &s, sizeof word);
      __atomic_store_n(&r->words[(h + i) & r->mask], word, __ATOMIC_RELAXED);
    }
    h += n;
    done += n;
    STORE(r->head, h);
  }
  uint64_t want = LOAD(r->want);
  if (want != 0 && h >= want && want != e->rung && e->bell >= 0) {
    const uint64_t one = 1;
    e->rung = want;
    if (write(e->bell, &one, sizeof one) < 0) { /* full: the reader has a wake-up pending already */
    }
  }
}

/* broken says whether the device lost frames just before these. Its flag alone is no proof: JACK
 * raises it for a cycle that was late and lost nothing, and a model that forgets the past for that
 * does more harm. So the time line must have moved by a period as well, against the earliest that
 * callbacks came lately: lateness only adds. */
static int broken(av_engine *e, int flagged, uint64_t frames, int64_t at) {
  int64_t period = frames_ns(frames, (uint64_t)e->rate);
  int64_t origin = at - frames_ns(LOAD(e->in.ring.head), (uint64_t)e->rate);
  if (!e->started || origin < e->floor) {
    e->started = 1;
    e->floor = origin;
  } else {
    e->floor += period >> 11; /* clocks differ by less than 488 ppm */
  }
  if (!flagged || origin - e->floor < period) return 0;
  e->floor = origin;
  return 1;
}

static void mark_gap(av_engine *e) {
  __atomic_fetch_add(e->in.gaps, 1, __ATOMIC_SEQ_CST);
  STORE(e->in.ring.gap, LOAD(e->in.ring.head) + 1);
}

static void pass(av_ring *r, uint64_t tail, uint64_t lost) {
  __atomic_fetch_add(r->version, 1, __ATOMIC_SEQ_CST);
  STORE(r->tail, tail);
  STORE(r->dropped, LOAD(r->dropped) + lost);
  __atomic_fetch_add(r->version, 1, __ATOMIC_SEQ_CST);
}

static void put(const av_engine *e, float *const *out, uint64_t i, float s) {
  for (int c = 0; c < e->out_channels; c++) out[c][i] = s;
}

void av_flush(av_engine *e) {
  av_playout *p = &e->out;
  uint64_t head = LOAD(p->ring.head);
  pass(&p->ring, head, head - LOAD(p->ring.tail));
  STORE(p->playing, 0);
}

/* take is Ring.Read, to all channels at once, from frame `at` of the block on. */
static uint64_t take(const av_engine *e, av_ring *r, float *const *out, uint64_t at, uint64_t frames) {
  uint64_t from = LOAD(r->tail), t = from, n;
  for (;;) {
    uint64_t head = LOAD(r->head);
    if (head - t > r->capacity) t = head - r->capacity;
    n = least(head - t, frames);
    for (uint64_t i = 0; i < n; i++) {
      uint32_t word = __atomic_load_n(&r->words[(t + i) & r->mask], __ATOMIC_RELAXED);
      float s;
      memcpy(&s, &word, sizeof s);
      put(e, out, at + i, s);
    }
    __atomic_thread_fence(__ATOMIC_ACQUIRE);
    if (LOAD(r->claim) - t <= r->mask + 1) break;
    t = least(LOAD(r->claim) - r->capacity, LOAD(r->head)); /* overtaken while copying */
  }
  pass(r, t + n, t - from);
  return n;
}

/* lead is Playout.lead. */
static uint64_t lead(av_engine *e, uint64_t frames) {
  av_playout *p = &e->out;
  uint64_t tail = LOAD(p->ring.tail), head = LOAD(p->ring.head);
  if (head != e->seen) {
    e->seen = head;
    e->since = 0;
  } else {
    e->since += frames;
  }
  uint64_t held = least(head - tail, p->ring.capacity), target = (uint64_t)LOAD(p->target);
  if (held == 0) return frames;
  return held + e->since < target ? target - held - e->since : 0;
}

static void quiet(av_engine *e, float *const *out, uint64_t from, uint64_t to) {
  for (uint64_t i = from; i < to; i++) put(e, out, i, 0);
  if (LOAD(e->out.ring.head) > 0) __atomic_fetch_add(e->out.silence, to - from, __ATOMIC_SEQ_CST);
}

/* playout is Playout.Play. */
static void playout(av_engine *e, float *const *out, uint64_t frames) {
  av_playout *p = &e->out;
  uint64_t from = 0;
  int draining = LOAD(p->draining) != 0;
  if (!LOAD(p->playing)) {
    if (!draining) from = least(lead(e, frames), frames);
    quiet(e, out, 0, from);
    if (from == frames) return;
    STORE(p->playing, 1);
  }
  uint64_t n = take(e, &p->ring, out, from, frames - from);
  if (n < frames - from && !draining) {
    STORE(p->playing, 0);
    __atomic_fetch_add(p->underruns, 1, __ATOMIC_SEQ_CST);
  }
  quiet(e, out, from + n, frames);
}

static void count_gap(av_engine *e, int64_t now) {
  if (e->last_ns) {
    uint64_t gap = (uint64_t)(now - e->last_ns), us = gap / 1000;
    unsigned bucket = 0;
    if (us >= AV_OCTAVE) {
      unsigned octave = 63u - (unsigned)__builtin_clzll(us) - 3; /* 16..31 us: 1 */
      bucket = octave * AV_OCTAVE + (unsigned)((us >> (octave - 1)) - AV_OCTAVE);
    } else {
      bucket = (unsigned)us;
    }
    if (bucket >= AV_BUCKETS) bucket = AV_BUCKETS - 1;
    ADD(&e->n.gaps[bucket], 1);
    if (gap > e->n.gap_max_ns) __atomic_store_n(&e->n.gap_max_ns, gap, __ATOMIC_RELAXED);
  }
  e->last_ns = now;
}

/* believable turns a device's claim into ns: many say 0 or nonsense, then one buffer it is. */
static int64_t believable(double seconds, uint64_t frames, int rate) {
  if (seconds > 0 && seconds < 2) return (int64_t)(seconds * 1e9);
  return frames_ns(frames, (uint64_t)rate);
}

int av_callback(const void *in, void *out, unsigned long frames, const PaStreamCallbackTimeInfo *time,
                PaStreamCallbackFlags flags, void *engine) {
  av_engine *e = engine;
  int64_t now = av_now();
  count_gap(e, now);
  if (flags & (paInputUnderflow | paInputOverflow | paOutputUnderflow | paOutputOverflow)) ADD(&e->n.xruns, 1);
  if (flags & paInputUnderflow) ADD(&e->n.input_underflow, 1);
  if (flags & paInputOverflow) ADD(&e->n.input_overflow, 1);
  if (flags & paOutputUnderflow) ADD(&e->n.output_underflow, 1);
  if (flags & paOutputOverflow) ADD(&e->n.output_overflow, 1);
  if (e->in.ring.words) {
    int64_t late = believable(time->currentTime - time->inputBufferAdcTime, frames, e->rate);
    __atomic_store_n(&e->n.input_latency_ns, late, __ATOMIC_RELAXED);
    int64_t at = now - late + e->clock_offset;
    if (broken(e, (flags & paInputOverflow) != 0, frames, at)) mark_gap(e);
    capture(e, in, frames, at);
  }
  if (e->out.ring.words && out) {
    int64_t ahead = believable(time->outputBufferDacTime - time->currentTime, frames, e->rate);
    __atomic_store_n(&e->n.output_latency_ns, ahead, __ATOMIC_RELAXED);
    playout(e, out, frames);
  }
  __atomic_store_n(&e->n.frames, frames, __ATOMIC_RELAXED);
  ADD(&e->n.callbacks, 1);
  uint64_t busy = (uint64_t)(av_now() - now);
  if (busy > e->n.busy_max_ns) __atomic_store_n(&e->n.busy_max_ns, busy, __ATOMIC_RELAXED);
  return paContinue;
}

void av_count(const av_engine *e, av_counters *to) {
  const uint64_t *from = (const uint64_t *)&e->n;
  uint64_t *dst = (uint64_t *)to;
  for (size_t i = 0; i < sizeof *to / sizeof *dst; i++) dst[i] = __atomic_load_n(&from[i], __ATOMIC_RELAXED);
}
