package daemon

import (
	"bytes"
	"encoding/json"
	"math"
	"mime/multipart"
	"net/http"
	"strings"
	"testing"

	"github.com/autovoiced/autovoiced/client/wire"
)

// postGiven sends a second of song with a part beside it.
func postGiven(t *testing.T, d *testDaemon, part, text string) (status int, job wire.Job, refused *wire.Error) {
	t.Helper()
	var body bytes.Buffer
	form := multipart.NewWriter(&body)
	write := func(name, file string, data []byte) {
		w, err := form.CreateFormFile(name, file)
		if err == nil {
			_, err = w.Write(data)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	write("song", "song.wav", wavBytes(t, 16000, 1))
	if part != "" {
		write(part, "given.txt", []byte(text))
	}
	if err := form.Close(); err != nil {
		t.Fatal(err)
	}
	status, refused, _ = ask(t, http.MethodPost, d.url+"/v1/convert", form.FormDataContentType(), &body, &job)
	return status, job, refused
}

// TestWhatIsGivenIsUsed: the pitch that the shift goes by, and who speaks.
func TestWhatIsGivenIsUsed(t *testing.T) {
	d, _ := jobsDaemon(t, func(c *Config) { c.Voice.Name = tinyVoice })
	convert := func(part, text string) (*wire.JobResult, []byte) {
		_, job, refused := postGiven(t, d, part, text)
		if refused != nil {
			t.Fatalf("%s: %v", part, refused)
		}
		events := followJob(t, d, job.ID)
		last := events[len(events)-1]
		if last.State != wire.JobDone {
			t.Fatalf("%s: %+v", part, last.Error)
		}
		_, _, sound := resultOf(t, d, last.Result)
		return last.Result, sound
	}
	low, _ := convert("source_f0", strings.Repeat("150\n", 100))
	high, _ := convert("source_f0", strings.Repeat("300\n", 100))
	if got := low.PitchShift - high.PitchShift; math.Abs(got-12) > 0.01 {
		t.Errorf("an octave higher moves the shift by %.2f semitones", got)
	}
	embedding, err := json.Marshal(unit(8))
	if err != nil {
		t.Fatal(err)
	}
	_, own := convert("", "")
	_, other := convert("target_embedding", string(embedding))
	if bytes.Equal(own, other) {
		t.Error("another embedding sounds like the voice's own")
	}
}

// TestWhatIsGivenAndWrong is told by its own name: at once, but for what the voice's pack has to say.
func TestWhatIsGivenAndWrong(t *testing.T) {
	d, folder := jobsDaemon(t, func(c *Config) { c.Voice.Name = tinyVoice })
	for _, c := range []struct {
		part, text string
		code       wire.Code
		want       string
	}{
		{"source_f0", "milk\n", wire.CodeBadParam, "line 1"},
		{"source_f0", "200\n", wire.CodeBadParam, "expected 100"},
		{"source_f0", strings.Repeat("# pitch\n", mostGiven/8) + "#", wire.CodeTooLarge, "16 MB"},
		{"target_embedding", "eggs", wire.CodeBadParam, "JSON list of numbers"},
		{"target_embedding", "[]", wire.CodeBadParam, "JSON list of numbers"},
	} {
		status, _, refused := postGiven(t, d, c.part, c.text)
		if status < 400 || refused.Code != c.code || refused.Param != c.part || !strings.Contains(refused.Message, c.want) {
			t.Errorf("%s %.20q: %d, %+v, want %s that says %q", c.part, c.text, status, refused, c.code, c.want)
		}
	}
	if left := jobFiles(t, folder); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
	_, job, refused := postGiven(t, d, "target_embedding", "[1, 2, 3]")
	if refused != nil {
		t.Fatal(refused)
	}
	events := followJob(t, d, job.ID)
	if e := events[len(events)-1].Error; e == nil || e.Code != wire.CodeBadParam || e.Param != "target_embedding" || !strings.Contains(e.Message, "3 values, expected the 8") {
		t.Errorf("an embedding of another pack: %+v", e)
	}
}
