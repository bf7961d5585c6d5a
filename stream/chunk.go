package stream

import "time"

// Chunk is one hop of mono audio on its way through the pipeline, with everything the stages
// learn about it. A chunk has one owner: sending it gives it away, the sink's side returns it
// to the pool. Slices keep their capacity between uses, so a warm pipeline allocates nothing.
type Chunk struct {
	Seq     uint64
	Rate    int       // samples per second of Samples; conversion may change it
	Samples []float32 // the signal as the last stage left it, full scale ±1
	Dry     []float32 // the signal as captured, for mixing's dry path
	DryRate int
	F0      []float32 // Hz, one value for each 10 ms hop; 0 where unvoiced

	// Frames is the number of input-clock frames that the chunk stands for: the unit of the ledger.
	Frames int
	// Captured is when the chunk's first sample was captured, on the pipeline's Clock.
	Captured time.Duration
	// Discontinuous says that frames were lost just before this chunk: stages forget what they
	// remember of the signal.
	Discontinuous bool

	// Pos is the index of Samples' first frame in its stream: at a Sink, in the output, whose frame
	// n stands for the input at time n/Rate. Captured is moved along: it is when that frame's input
	// was captured.
	Pos uint64

	marks marks
	flush bool   // holds nothing but padding after the stream's end
	ended bool   // the source has ended: the output has total frames
	total uint64 // at the sink's rate
}

// Duration is how long Samples last.
func (c *Chunk) Duration() time.Duration { return FramesToTime(uint64(len(c.Samples)), c.Rate) }

// maxStages bounds the stages of a pipeline, so that a chunk's marks have a fixed size.
const maxStages = 8

// marks are the moments of a chunk's life. Every wait and every computing time is the difference
// of two neighbours, so they add up to delivered - captured exactly.
type marks struct {
	captured  time.Duration // its first sample was captured
	read      time.Duration // it was complete and offered to the first queue
	stages    [maxStages]struct{ take, done time.Duration }
	take      time.Duration // the sink's side took it
	delivered time.Duration // the sink had it
}
