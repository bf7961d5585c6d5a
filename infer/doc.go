// Package infer runs voice models: it loads a pack, checks it, warms it up, says where its nodes
// run, and hands out sessions that turn hops of samples into hops of samples. It is the only room
// that knows ONNX Runtime, and it knows nothing of queues, sockets or devices.
//
// A pack is one ONNX file. Its graph does one hop of 10 ms a run, with static shapes, explicit
// state and noise as an input, so that the same input gives the same bytes; its metadata_props
// hold, under the key "autovoiced", the Contract as JSON: rates, hop, look-ahead, mel parameters
// and the voices with their speaker embeddings. Graphs that do more hops a run may lie beside it,
// without the weights that they share with the first (graphs.go). A file that breaks its contract
// fails at Load, by name.
//
// The pieces, from the outside in:
//
//	Registry        the voices at hand: bundled packs and a folder; engines loaded once and shared
//	Engine          one loaded pack: contract, provider record, weights; safe from any goroutine
//	Converter       one conversation with an engine (*Voice or *Passthrough): state, bound tensors,
//	                one owner goroutine, no allocation once made
//	SpeakerEncoder  hears who speaks in recordings; with a pitch, that is a Target to speak as, and
//	                FitTone adds what the voice's sound lacks of the speaker's
//
// Several sessions share one engine's weights: each binds its own tensors to the one ONNX Runtime
// session through I/O binding, twice, so that the state written by one run is the state read by
// the next without a copy (binding.go).
//
// When many speak at once, live sessions of one engine share runs of a graph that takes a row for each (batcher.go, batchrun.go,
// batchgpu.go); until then each runs by itself. What runs cost says how many sessions there is room for (Forecast).
//
// A GPU is asked for by name. Libraries and their versions are looked at before ONNX Runtime hears of a
// provider (provider_machine.go); engines of TensorRT are built and first tried in a child of the same
// binary, which answers TrialCommand with Trial, and kept in a cache (tensorrt.go, enginecache.go); a
// profiled warm-up says where each node ran (profile.go).
//
// Nothing falls back silently: a provider that cannot be had is refused, unless the policy's
// Fallback allows it, and then Provider and Warnings say so.
package infer
