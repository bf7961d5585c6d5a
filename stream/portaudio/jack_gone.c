/* PortAudio asserts that a few JACK calls succeed although they cannot once the server is gone, and
 * distributions ship it with assertions on: losing jackd would abort the process (PortAudio #820,
 * last comments). A program's own functions come before a library's, so PortAudio calls these: they
 * pass everything on and call the outcome a success. JACK needs no answer at the end of a client,
 * and the program is not linked with it. */
#define _GNU_SOURCE
#include <dlfcn.h>

#define PASS_ON(name, parameters, arguments)                                  \
  __attribute__((visibility("default"))) int name parameters {                \
    int(*real) parameters = (int(*) parameters)dlsym(RTLD_NEXT, #name);       \
    if (real) real arguments;                                                 \
    return 0;                                                                 \
  }

PASS_ON(jack_port_unregister, (void *client, void *port), (client, port))
PASS_ON(jack_deactivate, (void *client), (client))
PASS_ON(jack_client_close, (void *client), (client))
