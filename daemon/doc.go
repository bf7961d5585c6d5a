// Package daemon is the running service: it reads the configuration, opens the voices, gives each
// speaker a session, serves clients over HTTP and WebSocket, and tells everybody how it goes.
//
// # The life of a chunk
//
// A session (session.go) is one speaker: the sound card (live.go), a client of /v1/stream
// (stream_ws.go, socket.go) or a file (convert.go). It builds the chain of four stages around a
// voice (chain.go) and runs one stream.Pipeline for each signal. What differs is the source and the
// sink at its ends, and nothing else:
//
//	sound card   portaudio's ring     →  pipeline  →  portaudio's ring      drop oldest, never wait
//	client       the socket itself    →  pipeline  →  outbox                block, then notice, then drop the client
//	file         as fast as it reads  →  pipeline  →  WAV file              block
//
// So a file, a client and a microphone that say the same hear the same. Package stream tells what
// happens inside the pipeline.
//
// # Telling
//
// Status (status.go) reads counters that nobody waits for. The feed (feed.go) makes at most 50
// snapshots a second however many watch; the latest wins. Errors of a client end that client, with
// a code; repeated faults are folded into one line a second (log.go).
//
// # The stop order
//
// When Run's context ends: no new clients; sources end; pipelines drain what is on their way, for at
// most stream.drain_timeout; sessions close, which gives their voices back; the models close; the
// feed says goodbye; HTTP stops last, so that everybody hears why. What main does on a second signal
// is not to wait for any of it.
package daemon
