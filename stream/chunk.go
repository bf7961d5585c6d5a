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

	marks marks
}
