//go:build e2e

package main

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/autovoiced/autovoiced/client"
	"github.com/autovoiced/autovoiced/client/wire"
)

const exampleFolder = "../../client/examples/"

// python is an interpreter that has what the examples need: the first on the path, or Debian's own, whose packages
// another one does not see.
func python(t *testing.T) string {
	t.Helper()
	var missing error
	for _, python3 := range []string{"python3", "/usr/bin/python3"} {
		out, err := exec.Command(python3, "-c", "import websockets").CombinedOutput()
		if err == nil {
			return python3
		}
		missing = errors.Join(missing, fmt.Errorf("%s: %w: %s", python3, err, out))
	}
	if os.Getenv("CI") != "" {
		t.Fatalf("python3-websockets: %v", missing)
	}
	t.Skip("python3-websockets is not installed")
	return ""
}

// unchanged are settings under which a stream gives back the very samples that it got.
var unchanged = []string{"AUTOVOICED_SEPARATION_MODE=bypass", "AUTOVOICED_MIXING_LIMITER=false"}

func TestE2EPythonExample(t *testing.T) {
	python3 := python(t)
	out, err := exec.Command(python3, exampleFolder+"vectors.py").CombinedOutput()
	if err != nil {
		t.Errorf("vectors.py: %v\n%s", err, out)
	}
	s := startService(t, unchanged...)
	dir := t.TempDir()
	in, back := filepath.Join(dir, "in.wav"), filepath.Join(dir, "back.wav")
	wav := wavFile(48000, 1, 1, noise16(48000))
	binary.LittleEndian.PutUint32(wav[28:], 2*48000) // 16 bits rather than 32
	binary.LittleEndian.PutUint16(wav[32:], 2)
	binary.LittleEndian.PutUint16(wav[34:], 16)
	write(t, in, wav)
	url := strings.Replace(s.url, "http", "ws", 1)
	out, err = exec.Command(python3, exampleFolder+"convert.py", in, back, "--url", url, "--voice", passthrough).CombinedOutput()
	if err != nil || !strings.Contains(string(out), "came back within") {
		t.Fatalf("convert.py: %v\n%s", err, out)
	}
	t.Logf("%s", out)
	if b := read(t, back); !bytes.Equal(b, wav) {
		t.Errorf("what came back, %d bytes, is not what was sent, %d bytes", len(b), len(wav))
	}
	out, err = exec.Command(python3, exampleFolder+"convert.py", in, back, "--url", url, "--fast", "--voice", "nobody").CombinedOutput()
	if err == nil || !strings.Contains(string(out), "unknown_voice") {
		t.Errorf("an unknown voice: %v\n%s", err, out)
	}
}

func TestE2EPipeExample(t *testing.T) {
	s := startService(t, unchanged...)
	cmd := exec.Command("go", "run", exampleFolder+"pipe", "-url", strings.Replace(s.url, "http", "ws", 1), "-voice", passthrough, "-rate", "48000")
	sound := noise16(48007)
	var told bytes.Buffer
	cmd.Stdin, cmd.Stderr = bytes.NewReader(sound), &told
	back, err := cmd.Output()
	if err != nil || !bytes.Equal(back, sound) || !strings.Contains(told.String(), `"final":true`) {
		t.Errorf("%d bytes of %d came back, %v: %s", len(back), len(sound), err, told.String())
	}
}

// noise16 is samples of 16 bits in which every one tells where it is.
func noise16(n int) []byte {
	sound := make([]byte, 2*n)
	for i := range sound {
		sound[i] = byte(i * i >> 7)
		if i%2 == 1 {
			sound[i] = byte(int8(sound[i]) / 4) // not too loud
		}
	}
	return sound
}

// TestE2EUpdatesUnderLoad: four speak in real time and change voice, pitch and gate all the while; everybody gets every
// sample, and the ledger says so.
func TestE2EUpdatesUnderLoad(t *testing.T) {
	ownFolders(t)
	s := startService(t)
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			ctx := t.Context()
			c, err := client.Dial(ctx, s.url, client.Options{Rate: 16000, Start: wire.Start{Voice: "tiny-low"}})
			if err != nil {
				t.Error(err)
				return
			}
			defer c.Close()
			const chunks = 300
			go func() {
				tick := time.NewTicker(10 * time.Millisecond)
				defer tick.Stop()
				voices, on := []string{"tiny-high", "tiny-low"}, []bool{true, false}
				for i := range chunks {
					<-tick.C
					_ = c.Send(ctx, make([]float32, 160))
					switch i % 15 {
					case 3:
						_ = c.Update(ctx, wire.Update{Voice: &voices[i/15%2]})
					case 7:
						_ = c.Update(ctx, wire.Update{Pitch: &wire.PitchShift{Semitones: float64(i % 12)}, Gate: &wire.GateChange{On: &on[i/15%2]}})
					case 11:
						_ = c.Update(ctx, wire.Update{Monitor: &on[i/15%2], Mute: &on[i/30%2]})
					}
				}
				_ = c.Stop(ctx)
			}()
			frames, updates := 0, 0
			for {
				ev, err := c.Recv(ctx)
				if errors.Is(err, io.EOF) {
					break
				}
				if err != nil {
					t.Error(err)
					return
				}
				frames += len(ev.Audio)
				switch m := ev.Message.(type) {
				case *wire.Updated:
					updates++
				case *wire.Error:
					t.Error(m)
				case *wire.Drained:
					if m.Ledger.In != chunks*160 || m.Ledger.Out+m.Ledger.DroppedFrames() != m.Ledger.In || uint64(frames) != m.Ledger.Out {
						t.Errorf("%d frames heard, ledger %+v, want %d", frames, m.Ledger, chunks*160)
					}
				}
			}
			if updates != chunks/15*3 {
				t.Errorf("%d updates answered, want %d", updates, chunks/15*3)
			}
		})
	}
	all.Wait()
}
