//go:build gpu

package gputest

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"mime/multipart"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/autovoiced/autovoiced/client/wire"
	"github.com/autovoiced/autovoiced/daemon/song/songtest"
	"github.com/autovoiced/autovoiced/stream/media"
)

// The bar of a warm song of 30 s in WAV with the preset fast, all stages, in seconds. FLAC waits for the one core that decodes it, so of
// that the figure is told alone.
const songBar = 0.4

// songRun is one conversion of the song.
type songRun struct {
	Elapsed  float64            `json:"elapsed_seconds"` // all stages, as the result says
	Wall     float64            `json:"wall_seconds"`    // as whoever asked sees it: of a job until it is done, of a command until its process ends
	Stages   map[string]float64 `json:"stage_timings_ms"`
	Provider wire.Provider      `json:"provider"`
	TensorRT *wire.TensorRT     `json:"tensorrt,omitempty"`
	Models   []wire.Model       `json:"models"`
	Notes    []string           `json:"notes,omitempty"`
}

// songFigures are several runs, after one that warms.
type songFigures struct {
	Preset    string    `json:"preset"`
	Duration  float64   `json:"duration_seconds"`
	P50       float64   `json:"elapsed_p50_seconds"`
	Max       float64   `json:"elapsed_max_seconds"`
	RTF       float64   `json:"rtf"`
	FirstRun  float64   `json:"first_elapsed_seconds"`
	FirstWall float64   `json:"first_wall_seconds"`
	Runs      []float64 `json:"elapsed_seconds"`
	Walls     []float64 `json:"wall_seconds"`
	Lacks     float64   `json:"stages_lack_percent"` // of the total, in the run in the middle
	Middle    songRun   `json:"middle_run"`
}

const songSeconds = 30

// A song of 30 s, warm: as a job of the daemon and as a command, with the separator on TensorRT and, beside it, on CUDA and on the
// CPU; the preset fast first. What fails of these takes none of the others along. A separator's engine is built by the first song
// that needs it.
func TestBenchGPUSong(t *testing.T) {
	songEngines(t)
	for _, format := range []media.Format{media.WAV, media.FLAC} {
		if err := songtest.Compose(songFile(format), format, "../../../testdata/audio/sample.flac", songSeconds*time.Second); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range []struct {
		separator string
		runs      int
		presets   []string
	}{{"tensorrt", 5, []string{"fast"}}, {"cuda", 3, []string{"fast"}}, {"tensorrt", 3, []string{"balanced", "quality"}}, {"cpu", 3, []string{"fast"}}} {
		t.Run(c.separator+" "+strings.Join(c.presets, " "), func(t *testing.T) {
			t.Setenv("AUTOVOICED_INFER_SEPARATOR", c.separator)
			t.Run("job", func(t *testing.T) { benchJobs(t, c.separator, c.presets, c.runs) })
			t.Run("command", func(t *testing.T) { benchCommands(t, c.separator, c.presets, c.runs) })
		})
	}
}

// songEngines builds what is missing of what one session and a song need of the voice.
func songEngines(t *testing.T) {
	t.Helper()
	cmd := gpuProgram(t, "engines", "build", "--precision", "fp16", "--hops", "1,32", "--alone")
	if out, err := cmd.CombinedOutput(); err != nil {
		skipGPU(t, strings.TrimSpace(string(out)))
	} else {
		t.Logf("%s", out)
	}
}

func benchJobs(t *testing.T, separator string, presets []string, runs int) {
	d := startDaemon(t)
	defer d.stop(t)
	song, err := os.ReadFile(songFile(media.WAV))
	if err != nil {
		t.Fatal(err)
	}
	for _, preset := range presets {
		f := measureSong(preset, runs, func() songRun { return sing(t, d, song, preset) })
		tellSong(t, "song_30_s_job_"+separator+"_"+preset, separator, f)
		if separator == "tensorrt" && preset == "fast" {
			figure(t, "song_30_s", map[string]any{
				"duration_seconds": f.Duration, "elapsed_seconds": f.P50, "rtf": f.RTF, "preset": preset, "stage_timings_ms": f.Middle.Stages,
				"provider": f.Middle.Provider, "tensorrt": f.Middle.TensorRT, "models": f.Middle.Models, "target_met": f.P50 <= songBar,
			})
		}
	}
	if separator == "tensorrt" && presets[0] == "fast" {
		flac, err := os.ReadFile(songFile(media.FLAC))
		if err != nil {
			t.Fatal(err)
		}
		tellSong(t, "song_30_s_job_tensorrt_fast_of_flac", separator, measureSong("fast", runs, func() songRun { return sing(t, d, flac, "fast") }))
	}
}

// benchCommands runs `autovoiced convert`, each time a new process, which opens voice and separator first. The figures that it leaves are
// kept beside the others.
func benchCommands(t *testing.T, separator string, presets []string, runs int) {
	for _, preset := range presets {
		results := filepath.Join(t.TempDir(), "validation_results")
		f := measureSong(preset, runs, func() songRun { return convertSong(t, preset, results) })
		tellSong(t, "song_30_s_command_"+separator+"_"+preset, separator, f)
		if separator != "tensorrt" || preset != "fast" {
			continue
		}
		to := filepath.Dir(os.Getenv("AUTOVOICE_GPU_RESULTS"))
		for _, name := range []string{"latency_tensorrt.json", "performance_breakdown.json", "gpu_utilization.json"} {
			text, err := os.ReadFile(filepath.Join(results, name))
			if err == nil && os.Getenv("AUTOVOICE_GPU_RESULTS") != "" {
				err = os.WriteFile(filepath.Join(to, name), text, 0o644)
			}
			if err != nil && name != "gpu_utilization.json" {
				t.Error(err)
			}
		}
	}
}

// measureSong runs once to warm, and so often for the figures.
func measureSong(preset string, runs int, run func() songRun) songFigures {
	first := run()
	f := songFigures{Preset: preset, Duration: songSeconds, FirstRun: first.Elapsed, FirstWall: first.Wall}
	var all []songRun
	for range runs {
		r := run()
		all = append(all, r)
		f.Runs, f.Walls = append(f.Runs, r.Elapsed), append(f.Walls, r.Wall)
	}
	slices.SortFunc(all, func(a, b songRun) int {
		if a.Elapsed < b.Elapsed {
			return -1
		}
		return 1
	})
	f.Middle, f.Max = all[len(all)/2], all[len(all)-1].Elapsed
	f.P50 = f.Middle.Elapsed
	f.RTF = f.P50 / f.Duration
	sum := 0.
	for stage, ms := range f.Middle.Stages {
		if stage != "total" {
			sum += ms
		}
	}
	f.Lacks = 100 * (1 - sum/max(f.Middle.Stages["total"], 1e-9))
	return f
}

// tellSong keeps the figures, and holds them to what was asked for.
func tellSong(t *testing.T, name, separator string, f songFigures) {
	t.Helper()
	figure(t, name, f)
	t.Logf("%s: %.3f s (%.3f to %.3f), %v", name, f.P50, slices.Min(f.Runs), f.Max, f.Middle.Stages)
	asked := map[string]string{"conversion": "tensorrt", "separation": separator}
	for _, m := range f.Middle.Models {
		t.Logf("%s by %s on %s %s, nodes %v %s", m.Stage, m.Name, m.Provider.Active, m.Provider.Precision, m.Provider.Nodes, m.Provider.Note)
		if want := asked[m.Stage]; want != "" && m.Provider.Active != want {
			t.Errorf("%s: %s ran on %s, asked was %s", name, m.Stage, m.Provider.Active, want)
		}
		delete(asked, m.Stage)
	}
	if len(asked) > 0 {
		t.Errorf("%s: nothing is said of %v", name, asked)
	}
	if on := f.Middle.TensorRT; separator == "tensorrt" && (on == nil || !on.Enabled) {
		t.Errorf("%s: not on tensorrt: %+v", name, on)
	}
	if f.Lacks > 15 || f.Lacks < -15 {
		t.Errorf("%s: the stages lack %.1f %% of the total", name, f.Lacks)
	}
	if separator == "tensorrt" && f.Preset == "fast" && !strings.HasSuffix(name, "_of_flac") && f.P50 > songBar {
		t.Errorf("%s: %.3f s, the bar is %g s", name, f.P50, songBar)
	}
}

func songFile(format media.Format) string {
	return filepath.Join(os.TempDir(), "autovoice-song-30"+format.Extension())
}

// convertSong is the command, with the voice and the separator opened before its clock runs.
func convertSong(t *testing.T, preset, results string) songRun {
	t.Helper()
	cmd := gpuProgram(t, "convert", songFile(media.WAV), "-o", filepath.Join(t.TempDir(), "out.wav"), "--preset", preset, "--json", "--results", results)
	var out, said bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &said
	began := time.Now()
	if err := cmd.Run(); err != nil {
		t.Fatalf("%v: %s", err, strings.TrimSpace(said.String()))
	}
	r := songRun{Wall: time.Since(began).Seconds()}
	lines := strings.Split(strings.TrimSpace(out.String()), "\n")
	var result struct {
		songRun
		Metadata struct {
			TensorRT struct {
				Enabled   bool    `json:"enabled"`
				Precision *string `json:"precision"`
			} `json:"tensorrt"`
			Models []wire.Model `json:"models"`
		} `json:"metadata"`
	}
	if err := json.Unmarshal([]byte(lines[len(lines)-1]), &result); err != nil {
		t.Fatalf("%v: %s", err, lines[len(lines)-1])
	}
	wall := r.Wall
	r = result.songRun
	r.Wall, r.Models = wall, result.Metadata.Models
	r.TensorRT = &wire.TensorRT{Requested: true, Enabled: result.Metadata.TensorRT.Enabled}
	if p := result.Metadata.TensorRT.Precision; p != nil {
		r.TensorRT.Precision = *p
	}
	return r
}

// sing has the daemon convert a song and waits for it.
func sing(t *testing.T, d *daemon, song []byte, preset string) songRun {
	t.Helper()
	var body bytes.Buffer
	form := multipart.NewWriter(&body)
	_ = form.WriteField("options", fmt.Sprintf(`{"preset":%q}`, preset)) // a buffer takes all
	part, err := form.CreateFormFile("song", "song")
	if err == nil {
		_, err = part.Write(song)
	}
	if err == nil {
		err = form.Close()
	}
	if err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	resp, err := http.Post(d.url+"/v1/convert", form.FormDataContentType(), &body)
	if err != nil {
		t.Fatal(err)
	}
	job := answer(t, resp)
	for ; !job.State.Final(); time.Sleep(2 * time.Millisecond) {
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
	r := job.Result
	return songRun{
		Elapsed: r.RTF * songSeconds, Wall: time.Since(began).Seconds(), Stages: r.StageTimingsMS, Provider: r.Provider, TensorRT: r.TensorRT,
		Models: r.Models, Notes: r.Notes,
	}
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
