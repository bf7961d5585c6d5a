/* Silence for what PortAudio, ALSA and JACK print on their own while they look for devices: a
 * hundred lines without a sound card. Only C's stderr is replaced, never file descriptor 2, so a
 * log line that Go writes meanwhile is not lost. Calls do not nest. */
#ifndef AUTOVOICE_QUIET_H
#define AUTOVOICE_QUIET_H
void av_hush(void);
void av_unhush(void);
void av_quiet_alsa(void); /* for good */
#endif
