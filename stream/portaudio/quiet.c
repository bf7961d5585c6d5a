#include "quiet.h"

#include <stdio.h>

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
