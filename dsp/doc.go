// Package dsp holds functions and plans on slices of float32 samples: transforms, spectra, resampling,
// pitch, levels, dynamics and PCM.
//
// Conventions. Audio is mono float32 with full scale ±1. Frequencies are in Hz, rates in samples per
// second, delays in time.Duration, levels in dB relative to full scale unless a name says otherwise.
// A plan (New…) owns its scratch and its state, is used by one goroutine, allocates nothing after it is
// made, and forgets the past at Reset. The caller owns dst and src; nothing keeps them after the call,
// and they do not overlap unless a comment allows it. Misuse, such as a wrong length, panics: it is the
// program's fault, not the signal's. Nothing here starts a goroutine, takes a context, logs or does I/O.
//
// Streaming plans give the same output however their input is cut; tests hold them to that bit by bit.
//
// The FFT is gonum's, planned, in double precision. go-dsp's starts goroutines, one a core, and
// allocates at each call, so it stays out of the live path. Real forward transforms, least of 40 short
// runs (2 cores of an AMD EPYC, Go 1.26; go-dsp uses both):
//
//	samples   FFT here          go-dsp
//	512       17 µs, 0 allocs    31 µs,  30 kB, 28 allocs
//	960       33 µs, 0 allocs   347 µs, 401 kB, 98 allocs
//	1024      35 µs, 0 allocs    56 µs,  59 kB, 30 allocs
//
// Reproduce with:
//
//	go test ./dsp -run '^$' -bench BenchmarkFFT -benchmem -benchtime 2ms -count 40
package dsp
