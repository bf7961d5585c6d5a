// Package daemon is the running service: it joins voices, pipelines, the sound card and clients, reads the
// configuration, logs, and decides. Every other room returns errors.
//
// # The life of a chunk
//
// A session is one speaker (session.go): the four stages around one conversation with a voice (chain.go),
// through which a pipeline moves chunks from a source to a sink. There are three kinds, and they differ in
// nothing but their edges:
//
//	stream    a client of /v1/stream: socketSource is the only reader of the connection, socketSink encodes
//	          into the outbox, whose goroutine is the only writer (stream_ws.go, socket.go, outbox.go)
//	device    the sound card: portaudio's rings (live.go)
//	convert   a file, in the preset live: as fast as it computes (convert.go)
//
// So a recording that is converted so, streamed, or streamed in other pieces gives the same samples.
//
//	socket ─ decode ─ [resample] ─ separation ─ f0_extraction ─ conversion ─ mixing ─ [resample] ─ encode ─ outbox ─ socket
//
// Nothing between the socket's two ends is unbounded. What the pipeline does not take stays in the client's
// socket. What the client does not read fills the outbox: then a client that sends as fast as it speaks
// loses the oldest replies, counted and told, and one that sends faster, a file, is made to wait. Either is
// dropped when it has read nothing for the stall timeout.
//
// A client's pipeline is one goroutine, as there may be hundreds. One more client than can be served in time is refused
// (admission.go).
//
// A flush ends a pipeline and begins another around the same stages, reset. The session's ledger goes on.
//
// # Songs
//
// Whole songs go another way (package song, convert.go): a client's lie in a queue of jobs with a folder each (jobs.go,
// jobs_folder.go), come in over HTTP and are followed and fetched there (jobs_upload.go, jobs_http.go), and are worked on one after
// another with the daemon's own voices. Songs in progress are given up when the daemon stops.
//
// # Status
//
// A look at the daemon is made when somebody asks, from counters that audio never waits for; watchers share
// one look per 10 ms and miss what they are too slow to read (feed.go, status.go, metrics.go).
//
// # The start
//
// HTTP answers first: /readyz and the status say that the voice is being opened, and how far an engine for a GPU is that must be
// built for it. Everything else is told to try again. When the GPU fails later on, sessions end with gpu_lost, none begins,
// and /readyz says so: what a process has lost on a GPU only another one gets back (gpu.go).
//
// # The stop
//
// In this order, each within a bound (Daemon.stop):
//
//  1. nobody new is let in: /readyz says so, /v1/stream answers shutting_down
//  2. sources end: the sound card's capture, and each client's input after what was read
//  3. pipelines drain; each client is sent the rest, drained, and shutting_down; the card plays the rest
//  4. sessions close; what is not through within stream.drain_timeout is abandoned, counted as aborted
//  5. models close
//  6. the feed says goodbye
//  7. HTTP ends, and Run returns
//
// No goroutine outlives Run.
package daemon
