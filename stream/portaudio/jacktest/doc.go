//go:build e2e

// Package jacktest measures a converter from sound to sound without a sound card: a private JACK
// server on the dummy driver, a client that feeds the converter's input port and records its output
// port on one time line of frames, and the arithmetic on what came back: delay, gaps, losses.
//
//	server, err := jacktest.Start(jacktest.Options{Rate: 48000, Period: 128})
//	defer server.Stop()
//	... start the converter with server.Env(), or os.Setenv it in this process ...
//	probe, err := server.Probe()
//	defer probe.Close()
//	err = probe.Connect(ctx, "autovoice")
//	rec, err := probe.Run(ctx, jacktest.Noise(rate*20, 1), rate/2)
//	report, err := jacktest.Exact(sent, rec, ...)
package jacktest
