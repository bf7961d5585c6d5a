package daemon

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime/multipart"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/autovoiced/autovoiced/client/wire"
	"github.com/autovoiced/autovoiced/dsp"
	"github.com/autovoiced/autovoiced/stream/media"
)

// jobsDaemon keeps its songs in a folder of the test's.
func jobsDaemon(t *testing.T, change ...func(*Config)) (d *testDaemon, folder string) {
	t.Helper()
	folder = filepath.Join(t.TempDir(), "jobs")
	return serve(t, append([]func(*Config){func(c *Config) { c.Jobs.Folder = folder }}, change...)...), folder
}

// songForm is the body of a job; options is JSON, or "" for none.
func songForm(t *testing.T, options, name string, song []byte) (kind string, body *bytes.Buffer) {
	t.Helper()
	body = new(bytes.Buffer)
	form := multipart.NewWriter(body)
	if options != "" {
		if err := form.WriteField("options", options); err != nil {
			t.Fatal(err)
		}
	}
	if song != nil {
		part, err := form.CreateFormFile("song", name)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := part.Write(song); err != nil {
			t.Fatal(err)
		}
	}
	if err := form.Close(); err != nil {
		t.Fatal(err)
	}
	return form.FormDataContentType(), body
}

func post(t *testing.T, d *testDaemon, options, name string, song []byte) (job wire.Job) {
	t.Helper()
	kind, body := songForm(t, options, name, song)
	status, refused, header := ask(t, http.MethodPost, d.url+"/v1/convert", kind, body, &job)
	if status != http.StatusAccepted || header.Get("Location") != "/v1/convert/"+job.ID || job.ID == "" {
		t.Fatalf("answered %d, %v, %q, %+v", status, refused, header.Get("Location"), job)
	}
	return job
}

// jobCall asks for something of a job, and is told the status and the error.
func jobCall(t *testing.T, d *testDaemon, method, path string, into any) (status int, code wire.Code) {
	t.Helper()
	status, refused, _ := ask(t, method, d.url+"/v1/convert"+path, "", nil, into)
	if refused != nil {
		code = refused.Code
	}
	return status, code
}

// followJob reads a job's events to the end.
func followJob(t *testing.T, d *testDaemon, id string) []wire.Job {
	t.Helper()
	return readEvents(t, openEvents(t, d, id))
}

// openEvents returns when the first event has come.
func openEvents(t *testing.T, d *testDaemon, id string) io.ReadCloser {
	t.Helper()
	response, err := http.Get(d.url + "/v1/convert/" + id + "/events")
	if err != nil {
		t.Fatal(err)
	}
	if kind := response.Header.Get("Content-Type"); kind != "text/event-stream" {
		t.Errorf("events are %q", kind)
	}
	return response.Body
}

func readEvents(t *testing.T, body io.ReadCloser) (events []wire.Job) {
	t.Helper()
	defer body.Close() //nolint:errcheck // it was only read
	for lines := bufio.NewScanner(body); lines.Scan(); {
		text, is := strings.CutPrefix(lines.Text(), "data: ")
		if !is {
			continue
		}
		var job wire.Job
		if err := json.Unmarshal([]byte(text), &job); err != nil {
			t.Fatalf("%s: %v", text, err)
		}
		events = append(events, job)
	}
	return events
}

func wavBytes(t *testing.T, rate int, seconds float64) []byte {
	t.Helper()
	path := filepath.Join(t.TempDir(), "song.wav")
	writeWAV(t, path, rate, dsp.S16LE, buzz(int(seconds*float64(rate)), rate))
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func TestJobFromSongToResult(t *testing.T) {
	d, folder := jobsDaemon(t)
	job := post(t, d, `{"voice":"tiny-low","preset":"fast","pitch_shift_semitones":3,"format":"flac","sample_rate":24000}`, "../my/song.wav", wavBytes(t, 22050, 1))
	if job.Name != "song.wav" || job.AudioSeconds != 1 {
		t.Errorf("queued as %+v", job)
	}
	events := followJob(t, d, job.ID)
	if len(events) == 0 {
		t.Fatal("no events")
	}
	last := events[len(events)-1]
	for _, e := range events[:len(events)-1] {
		if e.State.Final() || e.ID != job.ID {
			t.Errorf("in between %+v", e)
		}
	}
	r := last.Result
	if last.State != wire.JobDone || last.Progress != 1 || last.Error != nil || last.Expires == nil || last.Speed <= 0 || r == nil {
		t.Fatalf("at last %+v", last)
	}
	if r.URL != "/v1/convert/"+job.ID+"/result" || r.Rate != 24000 || r.Channels != 1 || r.Frames != 24000 || r.Voice != tinyVoice ||
		r.PitchShift != 3 || r.RTF <= 0 || len(r.StageTimingsMS) != 5 || r.Provider.Active != "cpu" || r.TensorRT == nil {
		t.Errorf("result %+v", r)
	}
	result, header, _ := resultOf(t, d, r)
	if said := header.Get("Content-Disposition"); header.Get("Content-Type") != "audio/flac" || !strings.Contains(said, "song (tiny-low).flac") {
		t.Errorf("the result is %q, %q", header.Get("Content-Type"), said)
	}
	if written, err := http.ParseTime(header.Get("Last-Modified")); err != nil || time.Since(written) < 0 || time.Since(written) > time.Minute {
		t.Errorf("last modified %q, %v", header.Get("Last-Modified"), err)
	}
	if result.Format() != media.FLAC || result.Rate() != 24000 || result.Frames() != 24000 {
		t.Errorf("%v of %d frames at %d Hz", result.Format(), result.Frames(), result.Rate())
	}
	var all []wire.Job
	if jobCall(t, d, http.MethodGet, "", &all); len(all) != 1 || all[0].ID != job.ID {
		t.Errorf("the list is %+v", all)
	}
	if files := jobFiles(t, folder); len(files) != 1 {
		t.Errorf("kept are %v, want the result alone", files)
	}
	if status, _ := jobCall(t, d, http.MethodDelete, "/"+job.ID, nil); status != http.StatusNoContent {
		t.Errorf("deleting answers %d", status)
	}
	for _, gone := range []string{"", "/events", "/result"} {
		if status, code := jobCall(t, d, http.MethodGet, "/"+job.ID+gone, nil); status != http.StatusNotFound || code != wire.CodeUnknownJob {
			t.Errorf("%s of a job that is gone: %d, %s", gone, status, code)
		}
	}
	if status, _ := jobCall(t, d, http.MethodDelete, "/"+job.ID, nil); status != http.StatusNotFound {
		t.Errorf("deleting again answers %d", status)
	}
	if files := jobFiles(t, folder); len(files) != 0 {
		t.Errorf("left behind: %v", files)
	}
	if err := d.stop(); err != nil {
		t.Error(err)
	}
	if left, _ := os.ReadDir(folder); len(left) != 0 {
		t.Errorf("after the daemon's end there are %v", left)
	}
}

// jobFiles are the files below the folder of jobs.
func jobFiles(t *testing.T, folder string) (files []string) {
	t.Helper()
	err := filepath.WalkDir(folder, func(path string, e os.DirEntry, err error) error {
		if err == nil && !e.IsDir() {
			files = append(files, path)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

// TestTheSamplesOfAResult: a result has the samples that were asked for, and the song's tags.
func TestTheSamplesOfAResult(t *testing.T) {
	d, _ := jobsDaemon(t)
	path := filepath.Join(t.TempDir(), "song.flac")
	tags := media.Tags{Title: "Slow boat", Artist: "Nobody", Date: "1926"}
	song, err := media.Create(path, media.Output{Format: media.FLAC, Rate: 16000, Channels: 1, Tags: tags})
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(song.Write([][]float32{buzz(8000, 16000)}), song.Close()); err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		options, samples string
		bits             int
	}{
		{`"format":"wav"`, "s16", 16}, {`"format":"wav","samples":"f32"`, "f32", 32}, {`"format":"flac","samples":"s24"`, "s24", 24},
	} {
		events := followJob(t, d, post(t, d, `{"preset":"fast",`+c.options+`}`, "song.flac", data).ID)
		r := events[len(events)-1].Result
		if r == nil || r.Samples != c.samples {
			t.Errorf("%s: %+v, want samples %s", c.options, r, c.samples)
			continue
		}
		result, _, text := resultOf(t, d, r)
		if bits := bitsOf(text); bits != c.bits {
			t.Errorf("%s: samples of %d bits, want %d", c.options, bits, c.bits)
		}
		if got := result.Tags(); got.Title != tags.Title || got.Artist != tags.Artist || got.Date != tags.Date {
			t.Errorf("%s: tags %+v, want the song's, %+v", c.options, got, tags)
		}
	}
}

// resultOf fetches what a job has made.
func resultOf(t *testing.T, d *testDaemon, r *wire.JobResult) (result *media.Decoder, header http.Header, text []byte) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, d.url+r.URL, nil)
	if err != nil {
		t.Fatal(err)
	}
	_, text, header = send(t, request)
	path := filepath.Join(t.TempDir(), "result")
	if err := os.WriteFile(path, text, 0o600); err != nil {
		t.Fatal(err)
	}
	if result, err = media.Open(path); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = result.Close() }) // it was only read
	return result, header, text
}

// bitsOf reads how many bits a sample has, where the headers of WAV and FLAC have it.
func bitsOf(head []byte) int {
	if string(head[:4]) == "RIFF" {
		return int(binary.LittleEndian.Uint16(head[34:]))
	}
	return int(head[20]&1<<4|head[21]>>4) + 1 // RFC 9639, 8.2
}

// TestJobsThatAreRefused: at once, by name, with nothing left behind.
func TestJobsThatAreRefused(t *testing.T) {
	d, folder := jobsDaemon(t, func(c *Config) { c.Jobs.MaxUploadMB = 1 })
	good := wavBytes(t, 16000, 0.5)
	for _, c := range []struct {
		name, options string
		song          []byte
		status        int
		code          wire.Code
		param         string
	}{
		{"options", `{"pitch":3}`, good, http.StatusBadRequest, wire.CodeBadMessage, ""},
		{"rate", `{"sample_rate":96000}`, good, http.StatusBadRequest, wire.CodeBadParam, "sample_rate"},
		{"samples", `{"format":"flac","samples":"f32"}`, good, http.StatusBadRequest, wire.CodeBadParam, "samples"},
		{"voice", `{"voice":"nobody"}`, good, http.StatusBadRequest, wire.CodeUnknownVoice, "voice"},
		{"profile", `{"profile":"nobody"}`, good, http.StatusBadRequest, wire.CodeUnknownVoice, "profile"},
		{"no song", `{}`, nil, http.StatusBadRequest, wire.CodeBadParam, "song"},
		{"text", ``, []byte("milk and eggs, or what else is no song"), http.StatusUnprocessableEntity, wire.CodeBadAudio, "song"},
		{"large", ``, make([]byte, 2<<20), http.StatusRequestEntityTooLarge, wire.CodeTooLarge, "song"},
	} {
		kind, body := songForm(t, c.options, c.name+".wav", c.song)
		status, e, _ := ask(t, http.MethodPost, d.url+"/v1/convert", kind, body, nil)
		if status != c.status || e.Code != c.code || c.param != "" && e.Param != c.param || strings.Contains(e.Message, folder) {
			t.Errorf("%s: %d, %+v, want %d, %s of %q", c.name, status, e, c.status, c.code, c.param)
		}
	}
	if status, e, _ := ask(t, http.MethodPost, d.url+"/v1/convert", "audio/wav", bytes.NewReader(good), nil); status != http.StatusBadRequest || e.Code != wire.CodeBadMessage {
		t.Errorf("a bare file: %d, %+v", status, e)
	}
	if files := jobFiles(t, folder); len(files) != 0 {
		t.Errorf("left behind: %v", files)
	}
	job := post(t, d, `{"preset":"fast"}`, "cut.flac", truncatedFLAC(t))
	events := followJob(t, d, job.ID)
	last := events[len(events)-1]
	if last.State != wire.JobFailed || last.Error == nil || last.Error.Code != wire.CodeBadAudio || !strings.Contains(last.Error.Message, "cut.flac") || strings.Contains(last.Error.Message, folder) {
		t.Errorf("a song that ends in the middle: %+v, %+v", last, last.Error)
	}
	if status, _ := jobCall(t, d, http.MethodGet, "/"+job.ID+"/result", nil); status != http.StatusConflict {
		t.Errorf("the result of a job that failed answers %d", status)
	}
}

func truncatedFLAC(t *testing.T) []byte {
	t.Helper()
	data, err := os.ReadFile("../testdata/audio/sample.flac")
	if err != nil {
		t.Fatal(err)
	}
	return data[:len(data)/2]
}

// TestJobsWaitTheirTurn: as many as may, the rest is refused; who is forgotten makes room, also in the middle of its work.
func TestJobsWaitTheirTurn(t *testing.T) {
	d, folder := jobsDaemon(t, func(c *Config) { c.Jobs.Queue = 2 })
	long, short := wavBytes(t, 48000, 120), wavBytes(t, 16000, 0.5)
	running := post(t, d, `{"preset":"fast"}`, "long.wav", long)
	look := func(id string) (job wire.Job) {
		jobCall(t, d, http.MethodGet, "/"+id, &job)
		return job
	}
	eventually(t, "the first job runs", func() bool { return look(running.ID).State == wire.JobRunning })
	second, third := post(t, d, `{"preset":"fast"}`, "b.wav", short), post(t, d, `{"preset":"fast"}`, "c.wav", short)
	if a, b := look(second.ID), look(third.ID); a.State != wire.JobQueued || a.Ahead != 1 || b.Ahead != 2 {
		t.Errorf("those that wait: %+v, %+v", a, b)
	}
	kind, body := songForm(t, "", "d.wav", short)
	status, e, header := ask(t, http.MethodPost, d.url+"/v1/convert", kind, body, nil)
	if status != http.StatusServiceUnavailable || e.Code != wire.CodeTooManyJobs || !e.Retryable || header.Get("Retry-After") == "" {
		t.Errorf("one too many: %d, %+v", status, e)
	}
	following := openEvents(t, d, running.ID)
	for _, id := range []string{second.ID, running.ID} {
		jobCall(t, d, http.MethodDelete, "/"+id, nil)
	}
	if events := readEvents(t, following); len(events) == 0 || events[len(events)-1].State != wire.JobCancelled {
		t.Errorf("who follows a job that is cancelled hears %+v", events)
	}
	events := followJob(t, d, third.ID)
	if last := events[len(events)-1]; last.State != wire.JobDone {
		t.Errorf("the one that waited on: %+v", last)
	}
	eventually(t, "what was cancelled is gone", func() bool { return len(jobFiles(t, folder)) == 1 })
	post(t, d, `{"preset":"fast"}`, "long.wav", long) // for the daemon's end to interrupt
	if err := d.stop(); err != nil {
		t.Error(err)
	}
	if left, _ := os.ReadDir(folder); len(left) != 0 {
		t.Errorf("after the daemon's end there are %v", left)
	}
}

// TestJobsAreForgotten: after their time, and what a crash left behind at the next start.
func TestJobsAreForgotten(t *testing.T) {
	d, folder := jobsDaemon(t, func(c *Config) { c.Jobs.Keep = time.Second })
	stale := filepath.Join(folder, "daemon-stale")
	if err := os.MkdirAll(filepath.Join(stale, "song"), 0o700); err != nil {
		t.Fatal(err)
	}
	job := post(t, d, `{"preset":"fast"}`, "a.wav", wavBytes(t, 16000, 0.5))
	followJob(t, d, job.ID)
	eventually(t, "the job is forgotten", func() bool {
		status, _ := jobCall(t, d, http.MethodGet, "/"+job.ID, nil)
		return status == http.StatusNotFound
	})
	if files := jobFiles(t, folder); len(files) != 0 {
		t.Errorf("left behind: %v", files)
	}
	if _, err := os.Stat(stale); err == nil {
		t.Error("what a crash left behind is still there")
	}
	if jobs := fmt.Sprint(d.jobs.list()); jobs != "[]" {
		t.Errorf("jobs %s", jobs)
	}
}
