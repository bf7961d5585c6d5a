package wire

// Batching is how the conversations of one voice pack share runs of its model.
type Batching struct {
	Pack string `json:"pack"`
	// Separate says why each runs alone, whatever the load.
	Separate string `json:"separate,omitempty"`
	Sessions int    `json:"sessions"` // live now
	Waiting  int    `json:"waiting"`  // hops of 10 ms in the queue now
	Parallel int    `json:"parallel"` // runs beside each other at most
	// LoadPercent is how much of the time of all these runs is used, of late.
	LoadPercent float64 `json:"load_percent"`
	Hops        uint64  `json:"hops"`
	Late        uint64  `json:"late"` // hops that were done later than the next one came
	// Refused are the sizes that are not used, with the reason of each.
	Refused []string `json:"refused,omitempty"`
	// OneByOne says why a GPU copies what the model remembers of each conversation by itself, which takes longer; empty where it
	// need not.
	OneByOne string `json:"one_by_one,omitempty"`
	// Sizes are the runs by how many conversations they can serve, ascending from 1.
	Sizes   []BatchSize `json:"sizes,omitempty"`
	Warmups uint64      `json:"warmups"` // runs for nobody, which keep a GPU warm
}

// BatchSize is the runs that can serve so many conversations. Hops over runs is how many they served on average.
type BatchSize struct {
	Sessions int     `json:"sessions"`
	Runs     uint64  `json:"runs"`
	Hops     uint64  `json:"hops"`
	CostUS   float64 `json:"cost_us"`  // of a run, of late
	LeastUS  float64 `json:"least_us"` // that one took
	MostUS   float64 `json:"most_us"`
	Slow     uint64  `json:"slow"` // runs that took longer than a hop lasts
	// Precision is that of the network for so many; SNRDB and LogSpectralDB are how far its fp16 was found to be from fp32.
	Precision     string  `json:"precision,omitempty"`
	SNRDB         float64 `json:"snr_db,omitempty"`
	LogSpectralDB float64 `json:"log_spectral_db,omitempty"`
}
