#ifndef AUTOVOICE_DEVICE_STREAM_H
#define AUTOVOICE_DEVICE_STREAM_H

#include <stddef.h>

#include "engine.h"

/* One direction of a stream; device < 0: none. */
typedef struct {
  int device, channels;
  double latency; /* s */
} av_line;

/* av_supported asks whether a line runs at rate by itself. */
PaError av_supported(av_line in, av_line out, double rate);

/* av_open opens and starts a stream that calls the engine; frames 0: the device's own period.
 * NULL: see err. */
PaStream *av_open(av_engine *e, av_line in, av_line out, double rate, unsigned long frames, PaError *err);

/* av_dead says that a started stream has ended by itself: its server or device is gone. */
int av_dead(PaStream *stream);

/* av_excuse_stop makes Pa_CloseStream skip the stop of a JACK stream whose server is gone. It needs
 * av_table_size bytes of memory until the stream has been closed. */
void av_excuse_stop(PaStream *stream, void *memory);
size_t av_table_size(void);

#endif
