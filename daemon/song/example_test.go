package song_test

import (
	"context"
	"fmt"
	"log"
	"os"
	"path/filepath"

	"github.com/autovoiced/autovoiced/daemon/song"
	"github.com/autovoiced/autovoiced/infer"
	"github.com/autovoiced/autovoiced/stream/media"
)

// A program that has a recording spoken by another voice, and keeps the result as FLAC.
func Example() {
	voices, err := infer.NewRegistry(infer.DefaultConfig())
	if err != nil {
		log.Fatal(err) // no ONNX Runtime, for instance
	}
	defer voices.Close() //nolint:errcheck // nothing depends on it any more
	engine, err := voices.Engine("alma")
	if err != nil {
		log.Fatal(err)
	}
	alma, err := engine.Target("alma")
	if err != nil {
		log.Fatal(err)
	}
	folder, err := os.MkdirTemp("", "song")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(folder) //nolint:errcheck // a temporary folder

	o := song.Default()
	o.Separator = infer.SeparatorNone // there is only a voice in it
	o.Format, o.Rate, o.Timings = media.FLAC, 48000, true
	out := filepath.Join(folder, "alma.flac")
	result, err := song.Convert(context.Background(), "../../testdata/audio/sample.flac", out, song.Singer{Engine: engine, Target: alma}, o)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(result.Voice, result.Separation, result.Rate, result.Channels)
	fmt.Println("the stages add up:", result.Timings.Lacks() < 0.15)
	// Output:
	// alma none 48000 1
	// the stages add up: true
}
