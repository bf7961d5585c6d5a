package song

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/autovoiced/autovoiced/daemon/song/songtest"
	"github.com/autovoiced/autovoiced/infer"
	"github.com/autovoiced/autovoiced/stream/media"
)

// wanted skips what takes minutes unless `make song-bench` asks for it.
func wanted(b *testing.B) {
	if os.Getenv("AUTOVOICED_SONG_BENCH") == "" {
		b.Skip("run it by `make song-bench`")
	}
}

// BenchmarkSong converts a song of 30 s with the bundled voice, in each preset, on one core.
func BenchmarkSong(b *testing.B) {
	wanted(b)
	in := filepath.Join(b.TempDir(), "song.wav")
	composeSong(b, in, 30*time.Second)
	for _, preset := range infer.Presets() {
		b.Run("30s/"+preset, func(b *testing.B) { benchmarkSong(b, in, preset) })
	}
}

// BenchmarkMemory converts songs of very different lengths and tells how much memory the process has needed at most. Each is to
// run in a process of its own.
func BenchmarkMemory(b *testing.B) {
	wanted(b)
	for _, minutes := range []int{3, 12, 60} {
		b.Run(fmt.Sprintf("%dmin", minutes), func(b *testing.B) {
			in := filepath.Join(b.TempDir(), "song.wav")
			composeSong(b, in, time.Duration(minutes)*time.Minute)
			benchmarkSong(b, in, infer.PresetFast)
			b.ReportMetric(peakMB(b), "peak-MB")
		})
	}
}

func benchmarkSong(b *testing.B, in, preset string) {
	s := bundled(b)
	o := Default()
	o.Preset, o.Timings = preset, true
	out := filepath.Join(b.TempDir(), "out.wav")
	var r Result
	var err error
	for b.Loop() {
		began := cpuTime()
		if r, err = Convert(b.Context(), in, out, s, o); err != nil {
			b.Fatal(err)
		}
		b.ReportMetric((cpuTime()-began).Seconds()/r.Song.Seconds(), "cpu/s")
	}
	b.ReportMetric(r.RTF(), "rtf")
	b.ReportMetric(100*r.Timings.Lacks(), "lacks-%")
	names, times := r.Timings.Stages()
	for i, name := range names {
		b.ReportMetric(float64(times[i].Milliseconds()), name+"-ms")
	}
	if len(r.Notes) > 0 {
		b.Error(r.Notes)
	}
}

// bundled is the voice alma of the bundled pack.
func bundled(b *testing.B) Singer {
	if err := infer.Start(); err != nil {
		b.Skip(err)
	}
	voices, err := infer.NewRegistry(infer.DefaultConfig())
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = voices.Close() })
	engine, err := voices.Engine("alma")
	if err != nil {
		b.Fatal(err)
	}
	target, err := engine.Target("alma")
	if err != nil {
		b.Fatal(err)
	}
	return Singer{engine, target}
}

// composeSong writes the song that is measured.
func composeSong(b *testing.B, path string, length time.Duration) {
	if err := songtest.Compose(path, media.WAV, "../../testdata/audio/sample.flac", length); err != nil {
		b.Fatal(err)
	}
}

func cpuTime() time.Duration {
	var r unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &r); err != nil {
		panic(err) // cannot be: the arguments are constants
	}
	return time.Duration(r.Utime.Nano() + r.Stime.Nano())
}

// peakMB is the most memory that the process has had.
func peakMB(b *testing.B) float64 {
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		b.Skip(err)
	}
	for line := range bytes.Lines(status) {
		if rest, ok := bytes.CutPrefix(line, []byte("VmHWM:")); ok {
			kB, err := strconv.ParseFloat(string(bytes.Fields(rest)[0]), 64)
			if err != nil {
				b.Fatal(err)
			}
			return kB / 1000
		}
	}
	return 0
}
