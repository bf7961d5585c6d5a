package song

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/autovoiced/autovoiced/dsp"
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
	for _, minutes := range []int{3, 60} {
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

// composeSong writes a voice over a band: the bundled recording again and again, over plucked chords and a beat.
func composeSong(b *testing.B, path string, length time.Duration) {
	rate, voice := readSong(b, "../../testdata/audio/sample.flac")
	const to = 44100
	sung := dsp.NewFineResampler(rate, to).Append(nil, voice[0])
	e, err := media.Create(path, media.Output{Format: media.WAV, Rate: to, Channels: 2, PCM: dsp.S16LE})
	if err != nil {
		b.Fatal(err)
	}
	noise, beat := dsp.NewNoise(1), make([]float32, to)
	for second := range int(length.Seconds()) {
		block := [][]float32{make([]float32, to), make([]float32, to)}
		noise.Uniform(beat)
		for i := range to {
			t := float64(i) / to
			v := 0.5 * sung[(second*to+i)%len(sung)]
			band := 0.02 * float64(beat[i]) * math.Exp(-30*math.Mod(t, 0.25))
			for k, hz := range []float64{65.4, 130.8, 164.8, 196, 261.6, 392} {
				plucked := math.Mod(t+float64(k)*0.125, 0.5)
				band += 0.03 * math.Sin(2*math.Pi*hz*math.Exp2(float64(second%4)/12)*t) * math.Exp(-3*plucked)
			}
			block[0][i], block[1][i] = v+float32(band), v+0.7*float32(band)
		}
		if err := e.Write(block); err != nil {
			b.Fatal(errors.Join(err, e.Abort()))
		}
	}
	if err := e.Close(); err != nil {
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
