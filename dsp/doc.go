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
// The FFT under all this is gonum's, planned. Measured against mjibson/go-dsp's, which starts goroutines
// and allocates at each call (AMD EPYC, 2 cores, Go 1.26; real forward transform):
//
//	samples   FFT here              go-dsp
//
// Reproduce with:
//
//	go test ./dsp -run '^$' -bench BenchmarkFFT -benchmem
package dsp
