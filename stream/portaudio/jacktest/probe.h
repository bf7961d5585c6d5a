/* The JACK client behind Probe: plays a signal and records what comes back, both indexed by JACK's
 * frame time, so that a cycle which the client misses shifts nothing. */
#ifndef JACKTEST_PROBE_H
#define JACKTEST_PROBE_H

#include <jack/jack.h>
#include <stdint.h>

typedef struct {
  jack_client_t *client;
  jack_port_t *feed, *record;
  float *signal, *recording;
  uint32_t signal_frames, frames, lead;
  uint32_t start;    /* frame time of signal[0] */
  uint32_t next;     /* frame time that the next cycle should have */
  uint32_t skipped;  /* frames of cycles that never came to us */
  uint32_t xruns;    /* that the server told us of */
  int state;         /* 0 idle, 1 armed, 2 running, 3 done */
  int down;          /* the server is gone */
} jt_probe;

jt_probe *jt_open(const char *server, const char *name);
int jt_run(jt_probe *p, const float *signal, uint32_t signal_frames, uint32_t frames, uint32_t lead);
int jt_state(const jt_probe *p);
int jt_down(const jt_probe *p);
void jt_disarm(jt_probe *p);
void jt_close(jt_probe *p);

#endif
