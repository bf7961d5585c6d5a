//go:build e2e

package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/autovoiced/autovoiced/daemon"
	"github.com/autovoiced/autovoiced/stream/media"
)

// A song comes out of the binary with its channels, its tags and its figures, and a program can follow how.
func TestE2ESong(t *testing.T) {
	dir := t.TempDir()
	out, results := filepath.Join(dir, "out.flac"), filepath.Join(dir, "results")
	r := autovoiced(t, "convert", formats+"stereo.ogg", "-o", out, "--preset", "fast", "--results", results,
		"--json", "--rate", "48000", "--samples", "s24", "--pitch", "-2.5", "--music-gain", "-3").wantSuccess(t)
	var kinds []string
	var last struct {
		Type           string
		Progress       float64
		Separation     string
		Rate, Channels int
		PitchShift     float64            `json:"pitch_shift_semitones"`
		StageTimingsMS map[string]float64 `json:"stage_timings_ms"`
		Metadata       daemon.Metadata
	}
	for lines := bufio.NewScanner(strings.NewReader(r.out)); lines.Scan(); {
		if err := json.Unmarshal(lines.Bytes(), &last); err != nil {
			t.Fatalf("%s: %v", lines.Text(), err)
		}
		kinds = append(kinds, last.Type)
	}
	if len(kinds) < 2 || kinds[0] != "progress" || last.Type != "result" || last.Rate != 48000 || last.Channels != 2 || last.PitchShift != -2.5 {
		t.Errorf("it said %v, at last %+v", kinds, last)
	}
	var sum float64
	for stage, ms := range last.StageTimingsMS {
		if stage != "total" {
			sum += ms
		}
	}
	if total := last.StageTimingsMS["total"]; len(last.StageTimingsMS) != 5 || math.Abs(sum-total) > 0.15*total {
		t.Errorf("the stages take %.0f ms together, in all it took %v", sum, last.StageTimingsMS)
	}
	d, err := media.Open(out)
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	if d.Format() != media.FLAC || d.Rate() != 48000 || d.Channels() != 2 || d.Tags().Title == "" {
		t.Errorf("%v of %d Hz, %d channels, called %q", d.Format(), d.Rate(), d.Channels(), d.Tags().Title)
	}
	if r := autovoiced(t, "report", results).wantSuccess(t); !strings.Contains(r.out+r.err, "f0_extraction") {
		t.Errorf("the report does not tell of the stages:\n%s%s", r.out, r.err)
	}
}

// Each thing that can be wrong with a song is said with its name and the right code, and leaves nothing behind.
func TestE2EBadSongs(t *testing.T) {
	flac, mp3, ogg := read(t, sample), read(t, formats+"cbr.mp3"), read(t, formats+"stereo.ogg")
	for _, tc := range []struct {
		name string
		data []byte
		args []string
		code int
		want string
	}{
		{"notes.mp3", []byte("milk\neggs\n"), nil, exitFile, "neither WAV, FLAC, MP3 nor Ogg Vorbis"},
		{"truncated.flac", flac[:2*len(flac)/3], nil, exitFile, "truncated.flac"},
		{"truncated.mp3", mp3[:len(mp3)/2], nil, exitFile, "truncated.mp3: the file is truncated"},
		{"truncated.ogg", ogg[:len(ogg)/2], nil, exitFile, "truncated.ogg: the file is truncated"},
		{"empty.wav", nil, nil, exitFile, "the file is empty"},
		{"short.wav", wavFile(48000, 1, 3, f32Tone(48000, 240)), nil, exitFile, "5ms of sound, at least 50ms"},
		{"no-channels.wav", wavFile(48000, 0, 3, f32Tone(48000, 480)), nil, exitFile, "no-channels.wav"},
		{"fast.wav", wavFile(384000, 1, 3, f32Tone(384000, 38400)), nil, exitFile, "384000 Hz, possible are 8000 to 192000 Hz"},
		{"good.wav", wavFile(48000, 1, 3, f32Tone(48000, 48000)), []string{"--f0", "f0.txt"}, exitUsage, "50 values beside a song of 1.00 s, expected 100"},
		{"good.wav", wavFile(48000, 1, 3, f32Tone(48000, 48000)), []string{"--f0", "embedding.json"}, exitUsage, "line 1"},
		{"good.wav", wavFile(48000, 1, 3, f32Tone(48000, 48000)), []string{"--embedding", "embedding.json"}, exitUsage, "the embedding has 3 values, expected the 256"},
		{"good.wav", wavFile(48000, 1, 3, f32Tone(48000, 48000)), []string{"--embedding", "f0.txt"}, exitUsage, "JSON list of numbers"},
		{"good.wav", wavFile(48000, 1, 3, f32Tone(48000, 48000)), []string{"--rate", "96000"}, exitUsage, "16000 to 48000"},
		{"good.wav", wavFile(48000, 1, 3, f32Tone(48000, 48000)), []string{"--music-gain", "99"}, exitUsage, "music_gain_db"},
		{"good.wav", wavFile(48000, 1, 3, f32Tone(48000, 48000)), []string{"--samples", "f32", "--format", "flac"}, exitUsage, "FLAC holds s16 or s24"},
		{"good.wav", wavFile(48000, 1, 3, f32Tone(48000, 48000)), []string{"--preset", "live", "--rate", "16000"}, exitUsage, "--preset live"},
	} {
		t.Run(tc.name+strings.Join(tc.args, " "), func(t *testing.T) {
			dir := t.TempDir()
			in, out := filepath.Join(dir, tc.name), filepath.Join(dir, "out.wav")
			write(t, in, tc.data)
			write(t, filepath.Join(dir, "f0.txt"), bytes.Repeat([]byte("220\n"), 50))
			write(t, filepath.Join(dir, "embedding.json"), []byte("[1, 2, 3]"))
			for i, a := range tc.args {
				if strings.HasSuffix(a, ".txt") || strings.HasSuffix(a, ".json") {
					tc.args[i] = filepath.Join(dir, a)
				}
			}
			autovoiced(t, append([]string{"convert", in, "-o", out}, tc.args...)...).wantFailure(t, tc.code, tc.want)
			if left, _ := filepath.Glob(filepath.Join(dir, "*out*")); len(left) > 0 {
				t.Errorf("left behind: %v", left)
			}
			if left, _ := filepath.Glob(filepath.Join(dir, ".*")); len(left) > 0 {
				t.Errorf("left behind: %v", left)
			}
		})
	}
	autovoiced(t, "convert", sample, "-o", sample).wantFailure(t, exitUsage, "the song itself")
	for _, name := range []string{"x.mp3", "x.ogg"} { // a WAV file by that name would deceive
		autovoiced(t, "convert", sample, "-o", filepath.Join(t.TempDir(), name)).wantFailure(t, exitUsage, name, "WAV and FLAC", "--format")
	}
	autovoiced(t, "stream", sample, "-o", filepath.Join(t.TempDir(), "x.flac")).wantFailure(t, exitUsage, "x.flac", "WAV")
	autovoiced(t, "convert", sample, "-o", "/proc/x.wav").wantFailure(t, exitFile, "/proc")
	autovoiced(t, "convert", sample, "-o", filepath.Join(t.TempDir(), "missing", "x.wav")).wantFailure(t, exitFile, "there is no folder", "missing")
}

// Songs in which nobody sings, or that are nothing but clipping, are no error: it is said what became of them.
func TestE2EStrangeSongs(t *testing.T) {
	dir := t.TempDir()
	silent, square := make([]byte, 4*48000), f32Tone(48000, 48000)
	for i := 0; i < len(square); i += 4 {
		copy(square[i:], []byte{0, 0, 0x80, 0x3f | (square[i+3] & 0x80)})
	}
	for name, tc := range map[string]struct {
		data []byte
		says string
	}{"silence.wav": {silent, "no voice was found"}, "clipped.wav": {square, "clipped"}} {
		in, out := filepath.Join(dir, name), filepath.Join(dir, "out-"+name)
		write(t, in, wavFile(48000, 1, 3, tc.data))
		r := autovoiced(t, "convert", in, "-o", out, "--results", "", "--separation", "none").wantSuccess(t)
		if !strings.Contains(r.err, tc.says) {
			t.Errorf("%s: it does not say %q:\n%s%s", name, tc.says, r.out, r.err)
		}
		if _, err := os.Stat(out); err != nil {
			t.Error(err)
		}
	}
}

// A full disk is said with its name, and what did not fit is gone. The folder is a small file system of its own, so where
// none may be mounted the file size limit of TestDiskIsFull has to do.
func TestE2EFullDisk(t *testing.T) {
	dir := t.TempDir()
	script := `mount -t tmpfs -o size=32k none "$1" && { "$2" convert "$3" -o "$1/out.wav" --results "" --separation none; code=$?; ls -A "$1"; exit $code; }`
	cmd := exec.Command("unshare", "--mount", "--map-root-user", "sh", "-c", script, "sh", dir, program, sample)
	if err := exec.Command("unshare", "--mount", "--map-root-user", "mount", "-t", "tmpfs", "none", dir).Run(); err != nil {
		t.Skip("nothing can be mounted here: ", err)
	}
	var out, errOut bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errOut
	_ = cmd.Run()
	result{cmd.ProcessState.ExitCode(), out.String(), errOut.String()}.wantFailure(t, exitFile, "no space left on device", dir)
	if out.Len() > 0 {
		t.Errorf("left behind: %s", out.String())
	}
}

// Ctrl+C in the middle: prompt, told, and no half of a file.
func TestE2EInterruptedSong(t *testing.T) {
	dir := t.TempDir()
	in, out := filepath.Join(dir, "in.wav"), filepath.Join(dir, "out.wav")
	write(t, in, wavFile(48000, 1, 3, bytes.Repeat(f32Tone(48000, 48000), 120)))
	cmd := exec.Command(program, "convert", in, "-o", out, "--json", "--separation", "none", "--results", "")
	var errOut bytes.Buffer
	cmd.Stderr = &errOut
	pipe, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(pipe)
	for n := 0; n < 3 && lines.Scan(); n++ {
	}
	began := time.Now()
	if err := cmd.Process.Signal(syscall.SIGINT); err != nil {
		t.Fatal(err)
	}
	for lines.Scan() {
	}
	_ = cmd.Wait()
	if code := cmd.ProcessState.ExitCode(); code != exitFailure || !strings.Contains(errOut.String(), "interrupted; "+out+" is not written") {
		t.Errorf("exit code %d, and it said:\n%s", code, errOut.String())
	}
	if took := time.Since(began); took > 20*time.Second {
		t.Errorf("it took %v to stop", took)
	}
	left, err := os.ReadDir(dir)
	if err != nil || len(left) != 1 {
		t.Errorf("in the folder: %s (%v), want the song alone", fmt.Sprint(left), err)
	}
}
