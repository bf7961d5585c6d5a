#include "quiet.h"

#include <stdio.h>

/* Only where ALSA is; it prints "underrun occurred" from the audio thread at any time. */
typedef void error_handler(const char *file, int line, const char *function, int err, const char *format, ...);
extern int snd_lib_error_set_handler(error_handler *handler) __attribute__((weak));

static void ignore(const char *file, int line, const char *function, int err, const char *format, ...) {
  (void)file, (void)line, (void)function, (void)err, (void)format;
}

void av_quiet_alsa(void) {
  if (snd_lib_error_set_handler) snd_lib_error_set_handler(ignore);
}

#ifdef __GLIBC__
/* One stream, opened once: a library thread may still hold the pointer after av_unhush. */
static FILE *nowhere, *saved;

void av_hush(void) {
  if (!nowhere) nowhere = fopen("/dev/null", "we");
  if (!nowhere) return;
  saved = stderr;
  stderr = nowhere;
}

void av_unhush(void) {
  if (!saved) return;
  stderr = saved;
  saved = NULL;
}
#else /* stderr cannot be assigned: the noise stays */
void av_hush(void) {}
void av_unhush(void) {}
#endif
