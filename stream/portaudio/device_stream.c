#include "device_stream.h"

#include <stddef.h>

#include "quiet.h"

/* Only a build with ALSA has it. */
extern void PaAlsa_EnableRealtimeScheduling(PaStream *s, int enable) __attribute__((weak));

static PaStreamParameters parameters(av_line line) {
  PaStreamParameters p = {0};
  p.device = line.device;
  p.channelCount = line.channels;
  p.sampleFormat = paFloat32 | paNonInterleaved;
  p.suggestedLatency = line.latency;
  return p;
}

PaError av_supported(av_line in, av_line out, double rate) {
  PaStreamParameters i = parameters(in), o = parameters(out);
  av_hush();
  PaError err = Pa_IsFormatSupported(in.device < 0 ? NULL : &i, out.device < 0 ? NULL : &o, rate);
  av_unhush();
  return err;
}

static int host_type(av_line in, av_line out) {
  const PaDeviceInfo *d = Pa_GetDeviceInfo(in.device < 0 ? out.device : in.device);
  const PaHostApiInfo *h = d ? Pa_GetHostApiInfo(d->hostApi) : NULL;
  return h ? (int)h->type : -1;
}

PaStream *av_open(av_engine *e, av_line in, av_line out, double rate, unsigned long frames, PaError *err) {
  PaStreamParameters i = parameters(in), o = parameters(out);
  PaStream *stream = NULL;
  av_hush();
  *err = Pa_OpenStream(&stream, in.device < 0 ? NULL : &i, out.device < 0 ? NULL : &o, rate, frames, paDitherOff,
                       av_callback, e);
  if (*err == paNoError) {
    if (host_type(in, out) == paALSA && PaAlsa_EnableRealtimeScheduling) PaAlsa_EnableRealtimeScheduling(stream, 1);
    *err = Pa_StartStream(stream);
    if (*err != paNoError) Pa_CloseStream(stream);
  }
  av_unhush();
  return *err == paNoError ? stream : NULL;
}

int av_dead(PaStream *stream) { return Pa_IsStreamActive(stream) != 1; }

/* The head of a PortAudio stream and its table of calls, the same from 19 (2003) to 19.7 and after
 * (src/common/pa_stream.h). */
typedef PaError stream_call(PaStream *);
typedef struct {
  stream_call *close, *start, *stop, *abort, *is_stopped, *is_active;
  void (*rest[6])(void);
} stream_table;
typedef struct {
  unsigned long magic;
  void *next;
  const stream_table *table;
} stream_head;

static PaError is_stopped(PaStream *stream) {
  (void)stream;
  return 1;
}

/* PortAudio #820: once the JACK server is gone, stopping a stream waits ten minutes for a callback
 * that cannot come, and closing or terminating stops first. Only closing a stopped stream looks
 * whether the server is there. So the stream gets a table of calls that says it has stopped. */
void av_excuse_stop(PaStream *stream, void *memory) {
  stream_head *head = stream;
  stream_table *table = memory;
  if (head->magic != 0x18273645) return; /* another layout: then the lane waits */
  *table = *head->table;
  table->is_stopped = is_stopped;
  head->table = table;
}

size_t av_table_size(void) { return sizeof(stream_table); }
