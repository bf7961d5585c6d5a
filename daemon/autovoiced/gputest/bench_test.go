//go:build gpu

package gputest

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"mime/multipart"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/autovoiced/autovoiced/client/wire"
)

// figure logs a result and adds it to the results file, as infer's tests do.
func figure(t *testing.T, name string, value any) {
	t.Helper()
	if text, raw := value.(json.RawMessage); raw {
		t.Logf("%s: %s", name, text)
	} else {
		t.Logf("%s: %+v", name, value)
	}
	file := os.Getenv("AUTOVOICE_GPU_RESULTS")
	if file == "" {
		return
	}
	all := map[string]any{}
	if text, err := os.ReadFile(file); err == nil {
		if err := json.Unmarshal(text, &all); err != nil {
			t.Fatal(err)
		}
	}
	all[name] = value
	text, err := json.MarshalIndent(all, "", "  ")
	if err == nil {
		err = os.WriteFile(file, append(text, '\n'), 0o644)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// From the start of the process until it serves, with engines there.
func TestBenchGPUReady(t *testing.T) {
	gpuEngines(t)
	var seconds []float64
	for range 3 {
		d := startDaemon(t)
		seconds = append(seconds, d.ready.Seconds())
		d.stop(t)
	}
	figure(t, "daemon_ready_seconds", seconds)
	if seconds[2] > 1 {
		t.Errorf("ready after %.2f s, the bar is 1 s", seconds[2])
	}
}

// Crowds of clients, each in real time through a socket of its own: how many have p99 inside the chunk and lose nothing.
func TestBenchGPUSessions(t *testing.T) {
	gpuEngines(t) // those for many were built by infer's tests, or are built while the crowd speaks
	sizes, seconds := os.Getenv("AUTOVOICE_GPU_SESSIONS"), os.Getenv("AUTOVOICE_GPU_SECONDS")
	if sizes == "" {
		sizes = "1,16,64,128,256,500,750,1000"
	}
	if seconds == "" {
		seconds = "60"
	}
	args := []string{"bench", "--sessions", sizes, "--for", seconds + "s", "--json"}
	if file := os.Getenv("AUTOVOICE_GPU_RESULTS"); file != "" {
		args = append(args, "--plot", filepath.Join(filepath.Dir(file), "sessions.svg"))
	}
	cmd := gpuProgram(t, args...)
	var said bytes.Buffer
	cmd.Stderr = &said
	out, err := cmd.Output()
	if err != nil {
		t.Errorf("%v: %s", err, strings.TrimSpace(said.String()))
	}
	if json.Valid(out) && len(out) > 0 {
		name := "sessions"
		if !strings.Contains(sizes, ",") { // one crowd, for as long as the bar says, is a figure of its own
			name = "crowd_" + sizes
		}
		figure(t, name, json.RawMessage(out))
	}
}

// A song of 30 s through a warm daemon, all stages: the second of two.
func TestBenchGPUSong(t *testing.T) {
	gpuEngines(t)
	d := startDaemon(t)
	defer d.stop(t)
	song := song30()
	sing(t, d, song) // builds what it needs, and warms
	job := sing(t, d, song)
	r := job.Result
	figure(t, "song_30_s", map[string]any{
		"duration_seconds": job.AudioSeconds, "elapsed_seconds": job.ElapsedSeconds, "rtf": r.RTF, "preset": "fast", "separation": r.Separation,
		"stage_timings_ms": r.StageTimingsMS, "provider": r.Provider, "tensorrt": r.TensorRT, "target_met": job.ElapsedSeconds <= 0.4,
	})
	if r.TensorRT == nil || !r.TensorRT.Enabled {
		t.Errorf("not on tensorrt: %+v %+v", r.Provider, r.TensorRT)
	}
	if job.ElapsedSeconds > 0.4 {
		t.Errorf("%.3f s, the bar is 0.4 s", job.ElapsedSeconds)
	}
}

// sing has the daemon convert a song and waits for it.
func sing(t *testing.T, d *daemon, song []byte) wire.Job {
	t.Helper()
	var body bytes.Buffer
	form := multipart.NewWriter(&body)
	form.WriteField("options", `{"preset":"fast"}`)
	part, err := form.CreateFormFile("song", "song.wav")
	if err == nil {
		_, err = part.Write(song)
	}
	if err == nil {
		err = form.Close()
	}
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.Post(d.url+"/v1/convert", form.FormDataContentType(), &body)
	if err != nil {
		t.Fatal(err)
	}
	job := answer(t, resp)
	for began := time.Now(); !job.State.Final(); time.Sleep(20 * time.Millisecond) {
		if time.Since(began) > 9*time.Minute {
			t.Fatalf("the song is not done: %+v", job)
		}
		resp, err := http.Get(d.url + "/v1/convert/" + job.ID)
		if err != nil {
			t.Fatal(err)
		}
		job = answer(t, resp)
	}
	if job.State != wire.JobDone || job.Result == nil {
		t.Fatalf("the song ended as %s: %v; the daemon said:\n%s", job.State, job.Error, d.said)
	}
	return job
}

func answer(t *testing.T, resp *http.Response) (job wire.Job) {
	t.Helper()
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode >= 300 || json.Unmarshal(text, &job) != nil {
		t.Fatalf("%d: %s, %v", resp.StatusCode, text, err)
	}
	return job
}

// song30 is 30 s of a sung line over chords, stereo, 44.1 kHz, 16 bits.
func song30() []byte {
	const rate, n = 44100, 30 * 44100
	pcm := make([]int16, 2*n)
	phase := 0.
	for i := range n {
		s := float64(i) / rate
		hz := 220 * math.Pow(2, math.Floor(4*math.Mod(s/8, 1))/6)
		phase += 2 * math.Pi * hz * (1 + 0.005*math.Sin(2*math.Pi*5.5*s)) / rate
		voice := 0.
		if math.Mod(s, 4) < 3.3 {
			for h := 1.; h <= 20; h++ {
				formant := (h*hz - 700) / 500
				voice += math.Sin(h*phase) / h / (1 + formant*formant)
			}
		}
		for c := range 2 {
			chord := 0.
			for k, note := range []float64{110, 138.6, 164.8} {
				chord += math.Sin(2*math.Pi*note*s + float64(c*k))
			}
			pcm[2*i+c] = int16(32767 * (0.4*voice + 0.08*chord) / 1.2)
		}
	}
	var b bytes.Buffer
	b.WriteString("RIFF")
	binary.Write(&b, binary.LittleEndian, uint32(36+2*len(pcm)))
	b.WriteString("WAVEfmt ")
	binary.Write(&b, binary.LittleEndian, []uint16{16, 0, 1, 2})
	binary.Write(&b, binary.LittleEndian, []uint32{rate, 4 * rate})
	binary.Write(&b, binary.LittleEndian, []uint16{4, 16})
	b.WriteString("data")
	binary.Write(&b, binary.LittleEndian, uint32(2*len(pcm)))
	binary.Write(&b, binary.LittleEndian, pcm)
	return b.Bytes()
}

// Memory of the GPU that a crowd takes, as nvidia-smi sees it, is in the figures of infer's tests: CUDA tells that more exactly. This
// is who else is on it.
func TestBenchGPUNeighbours(t *testing.T) {
	out, err := exec.Command("nvidia-smi", "--query-gpu=name,driver_version,memory.used,memory.total,utilization.gpu,clocks.sm,clocks.mem,power.draw", "--format=csv").Output()
	if err != nil {
		skipGPU(t, fmt.Sprint("nvidia-smi: ", err))
	}
	figure(t, "nvidia_smi", strings.Split(strings.TrimSpace(string(out)), "\n"))
}
