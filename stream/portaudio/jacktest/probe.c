//go:build e2e

#include "probe.h"

#include <stdlib.h>
#include <string.h>

#define LOAD(p) __atomic_load_n((p), __ATOMIC_SEQ_CST)
#define STORE(p, v) __atomic_store_n((p), (v), __ATOMIC_SEQ_CST)

static int process(jack_nframes_t n, void *arg) {
  jt_probe *p = arg;
  float *out = jack_port_get_buffer(p->feed, n);
  const float *in = jack_port_get_buffer(p->record, n);
  uint32_t now = jack_last_frame_time(p->client);
  memset(out, 0, n * sizeof *out);
  int state = LOAD(&p->state);
  if (state == 1) {
    p->start = now + p->lead;
    p->next = now;
    state = 2;
    STORE(&p->state, 2);
  }
  if (state != 2) return 0;
  p->skipped += now - p->next;
  p->next = now + n;
  int64_t at = (int32_t)(now - p->start); /* below 0: the lead's silence */
  for (uint32_t i = 0; i < n; i++, at++) {
    if (at < 0) continue;
    if (at < p->signal_frames) out[i] = p->signal[at];
    if (at < p->frames) p->recording[at] = in[i];
  }
  if (at >= p->frames) STORE(&p->state, 3);
  return 0;
}

static int on_xrun(void *arg) {
  jt_probe *p = arg;
  __atomic_fetch_add(&p->xruns, 1, __ATOMIC_SEQ_CST);
  return 0;
}

static void on_shutdown(void *arg) {
  jt_probe *p = arg;
  STORE(&p->down, 1);
}

static void silent(const char *message) { (void)message; }

jt_probe *jt_open(const char *server, const char *name) {
  jt_probe *p = calloc(1, sizeof *p);
  jack_set_error_function(silent);
  jack_set_info_function(silent);
  p->client = jack_client_open(name, JackNoStartServer | JackServerName, NULL, server);
  if (!p->client) {
    free(p);
    return NULL;
  }
  p->feed = jack_port_register(p->client, "feed", JACK_DEFAULT_AUDIO_TYPE, JackPortIsOutput, 0);
  p->record = jack_port_register(p->client, "record", JACK_DEFAULT_AUDIO_TYPE, JackPortIsInput, 0);
  jack_set_process_callback(p->client, process, p);
  jack_set_xrun_callback(p->client, on_xrun, p);
  jack_on_shutdown(p->client, on_shutdown, p);
  if (!p->feed || !p->record || jack_activate(p->client)) {
    jt_close(p);
    return NULL;
  }
  return p;
}

int jt_run(jt_probe *p, const float *signal, uint32_t signal_frames, uint32_t frames, uint32_t lead) {
  free(p->signal);
  free(p->recording);
  p->signal = malloc(signal_frames * sizeof *signal + 1);
  p->recording = calloc(frames + 1, sizeof *signal);
  if (!p->signal || !p->recording) return -1;
  memcpy(p->signal, signal, signal_frames * sizeof *signal);
  p->signal_frames = signal_frames;
  p->frames = frames;
  p->lead = lead;
  p->skipped = 0;
  STORE(&p->xruns, 0);
  STORE(&p->state, 1);
  return 0;
}

int jt_state(const jt_probe *p) { return LOAD(&p->state); }
int jt_down(const jt_probe *p) { return LOAD(&p->down); }
void jt_disarm(jt_probe *p) { STORE(&p->state, 0); }

void jt_close(jt_probe *p) {
  jack_client_close(p->client);
  free(p->signal);
  free(p->recording);
  free(p);
}
