package infer

/*
#include <signal.h>
#include <string.h>

#define SIGNALS 65

typedef struct { struct sigaction of[SIGNALS]; } handlers;

static void remember(handlers *h) {
  for (int s = 1; s < SIGNALS; s++) sigaction(s, NULL, &h->of[s]);
}

// Whatever was installed since goes, and what was there before comes back. It returns how many.
static int restore(const handlers *h) {
  int changed = 0;
  for (int s = 1; s < SIGNALS; s++) {
    struct sigaction now;
    if (s == SIGKILL || s == SIGSTOP || sigaction(s, NULL, &now)) continue;
    if (now.sa_handler == h->of[s].sa_handler && now.sa_flags == h->of[s].sa_flags) continue;
    if (sigaction(s, &h->of[s], NULL) == 0) changed++;
  }
  return changed;
}
*/
import "C"

// keepSignals runs f, and puts the process's signal handlers back to what they were. CUDA installs its own with its first
// session, without an alternate stack: the next SIGTERM would end a Go program with a complaint in place of a drain.
func keepSignals(f func() error) error {
	var before C.handlers
	C.remember(&before)
	defer C.restore(&before)
	return f()
}
