// Package stream moves audio in chunks from a Source through stages to a Sink, live or from a file,
// and accounts for every frame and every microsecond on the way. It knows no model, no sound card
// and no network: those are handed in.
//
// # The life of one chunk
//
// A Source gives audio as it comes, at its own rate and in pieces of any size. The pipeline's first
// goroutine resamples it to the stages' rate, cuts it into hops (10 ms by default) and gives each to
// a Chunk from the pool, with a sequence number, the moment its first frame was captured, and the
// number of input frames it stands for. The chunk then passes through separation, f0_extraction,
// conversion and mixing, each a goroutine, over bounded queues. The last goroutine drops the stages'
// latency, resamples to the sink's rate, gives the chunk to the Sink, books it and its times, and
// returns it to the pool. With Options.Inline one goroutine does all of that, a chunk at a time: a server of many
// pipelines saves the wake-ups.
//
//	capture ─ring─> intake ─> separation ─> f0_extraction ─> conversion ─> mixing ─> outlet ─ring─> playout
//
// Output frame n stands for the input at time n/rate, and n input frames give n·out/in output
// frames rounded to the nearest, however the input was cut: latency is dropped at the start and
// made up with silence at the end. So a file, a socket and a live stream give the same samples.
//
// # Ownership
//
// A chunk has one owner. Sending it gives it away; the outlet returns it to the pool. A Source, a
// Stage or a Sink owns the chunk during the call only and keeps no reference to it or its slices.
// Who writes a channel closes it. Every send also watches the context. Slices keep their capacity,
// so a warm pipeline allocates nothing.
//
// # When something is full
//
// There are three policies and they are never mixed.
//
// At the live edges, rings: the oldest frames are lost, counted, and the next chunk is marked
// discontinuous, before which every stage forgets the past. When playout runs dry it plays silence
// until its ring has reached the target again. Delay never stays grown: what a stall has piled up
// is dropped in silence or shortened (CatchUp), and a slow difference of clocks is followed by an
// asynchronous resampler (Drift).
//
// Between the stages, bounded channels that block: a slow stage holds up those before it, and in
// the end the capture ring.
//
// For status, the latest value wins: a Snapshot is assembled from counters that nobody waits for,
// and a ProfilingFunc that is too slow loses calls.
//
// # Stopping
//
// End the source (Close, or its own end): Read returns io.EOF, the pipeline pads and drains, each
// stage closes its queue when the one before has, the Sink drains, Run returns nil. Cancelling the
// context abandons what is on its way instead, booked as Aborted. An error or panic in one goroutine
// cancels the others; the first is what Run returns. No goroutine outlives Run. Close the device
// first, then the converter that the stages use, after Run has returned.
//
// # Accounts
//
// Ledger: frames in = frames out + dropped, by reason + in flight, in every snapshot. Times: every
// wait and every computation is the difference of two neighbouring marks of a chunk, so they add up
// to the total from capture to delivery.
package stream
