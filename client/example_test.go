package client_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/autovoiced/autovoiced/client"
	"github.com/autovoiced/autovoiced/client/wire"
)

// The examples run against a small server of the test's that answers with what it hears; yours is a daemon, as in
// "http://127.0.0.1:8484".

// A voice goes in and another comes out, at the rate of your choice.
func ExampleDial() {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	server, stop := echo()
	defer stop()

	s, err := client.Dial(ctx, server, client.Options{
		Rate:  44100,
		Start: wire.Start{Voice: "alma", Pitch: &wire.PitchShift{Auto: true}},
	})
	if err != nil {
		fmt.Println(err) // a refusal is a *wire.Error
		return
	}
	defer s.Close()

	go func() { // send and receive at the same time
		for range 10 {
			if err := s.Send(ctx, make([]float32, 441)); err != nil {
				return // Recv tells why
			}
		}
		_ = s.Stop(ctx)
	}()
	frames := 0
	for {
		ev, err := s.Recv(ctx)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			fmt.Println(err)
			return
		}
		frames += len(ev.Audio) // play them
		if drained, ok := ev.Message.(*wire.Drained); ok {
			fmt.Println("in", drained.Ledger.In, "out", drained.Ledger.Out)
		}
	}
	fmt.Println(frames, "frames heard, lost replies:", s.Stats().LostReplies)
	// Output:
	// in 4410 out 4410
	// 4410 frames heard, lost replies: 0
}

// What a stream sounds like can be changed while it speaks.
func ExampleStream_Update() {
	ctx := context.Background()
	server, stop := echo()
	defer stop()
	s, err := client.Dial(ctx, server, client.Options{})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer s.Close()
	voice, quiet := "bruno", true
	if err := s.Update(ctx, wire.Update{Voice: &voice, Mute: &quiet}); err != nil {
		fmt.Println(err)
		return
	}
	ev, err := s.Recv(ctx)
	if updated, ok := ev.Message.(*wire.Updated); ok {
		fmt.Println(updated.Voice, "speaks, muted:", updated.Settings.Mute, err)
	}
	// Output: bruno speaks, muted: true <nil>
}

// The feed shows every session with the time that each stage took.
func ExampleWatch() {
	server, stop := echo()
	defer stop()
	err := client.Watch(context.Background(), server, "", 10, func(s *wire.Status) error {
		fmt.Println(s.State, "with", len(s.Sessions), "sessions")
		return nil // an error ends the feed
	})
	fmt.Println(err)
	// Output:
	// running with 0 sessions
	// EOF
}
