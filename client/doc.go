// Package client talks to an autovoiced daemon: Dial opens a stream that converts a voice, Watch
// follows the status feed. The protocol is described in client/wire.
//
//	s, err := client.Dial(ctx, "http://127.0.0.1:8484", client.Options{
//		Start: wire.Start{Voice: "alto", Format: wire.Format{Encoding: wire.F32LE, Rate: 48000, Channels: 1}},
//	})
//	go func() {
//		for samples := range captured {
//			s.Send(ctx, samples)
//		}
//		s.Stop(ctx)
//	}()
//	for {
//		ev, err := s.Recv(ctx) // io.EOF after the last
//		...
//	}
//
// Sending and receiving go on at the same time: a client that sends everything before it receives
// is held back by the server and then dropped as slow.
package client
