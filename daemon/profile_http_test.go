package daemon

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"mime/multipart"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/autovoiced/autovoiced/client"
	"github.com/autovoiced/autovoiced/client/wire"
)

// form is a multipart body: parts of name and content; files have their path as content.
type formPart struct{ field, file, content string }

func form(t *testing.T, parts ...formPart) (body *bytes.Buffer, contentType string) {
	t.Helper()
	body = new(bytes.Buffer)
	w := multipart.NewWriter(body)
	for _, p := range parts {
		var to io.Writer
		var err error
		if p.file == "" {
			to, err = w.CreateFormField(p.field)
		} else {
			to, err = w.CreateFormFile(p.field, p.file)
		}
		if err == nil {
			_, err = to.Write([]byte(p.content))
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return body, w.FormDataContentType()
}

// recordings are the files of a profile as parts of a form.
func recordings(t *testing.T, paths []string) (parts []formPart) {
	t.Helper()
	for _, path := range paths {
		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		parts = append(parts, formPart{"reference", filepath.Base(path), string(data)})
	}
	return parts
}

func TestProfileOverHTTP(t *testing.T) {
	cfg, profiles := profileConfig(t)
	d := serve(t, func(c *Config) { c.Infer.Models, c.Voice.Name = cfg.Infer.Models, tinyVoice })
	parts := append(recordings(t, man), formPart{"name", "", "he"}, formPart{"later", "", "fields of a later version are passed over"})
	body, kind := form(t, parts...)
	var made wire.Profile
	status, refused, header := ask(t, http.MethodPost, d.url+"/v1/profiles", kind, body, &made)
	if status != http.StatusCreated || header.Get("Location") != "/v1/profiles/"+made.ID {
		t.Fatalf("answer %d, %v, at %q", status, refused, header.Get("Location"))
	}
	want := addProfile(t, cfg, "by-command", man...)
	if made.Name != "he" || made.Recordings != 2 || made.MedianHz != want.MedianHz || made.SpeechSeconds != want.SpeechSeconds || made.Unusable != "" || len(made.Warnings) != 1 {
		t.Errorf("made %+v, want what the command makes, %+v", made, want)
	}
	kept, err := profiles.Find("he")
	if err != nil || kept.Clips[0].Source != "kumo-plain.flac" || kept.ID != made.ID {
		t.Errorf("kept %+v, %v", kept, err)
	}
	clean(t, profiles, "he", "by-command")

	// It speaks at once, and goes on speaking when it is removed.
	s := dial(t, d.url, wire.Start{Profile: "he", Format: mono16k})
	if status, refused, _ := ask(t, http.MethodDelete, d.url+"/v1/profiles/"+made.ID, "", nil, nil); status != http.StatusNoContent {
		t.Errorf("delete: %d, %v", status, refused)
	}
	clean(t, profiles, "by-command")
	if reply, _ := converse(t, s, buzz(8000, 16000), fixed(160)); len(reply) != 8000 || peak(reply) < 0.01 {
		t.Errorf("a profile that is removed while it speaks: %d frames, peak %g", len(reply), peak(reply))
	}
	if _, err := client.Dial(t.Context(), d.url, client.Options{Start: wire.Start{Profile: "he", Format: mono16k}}); !errors.Is(err, &wire.Error{Code: wire.CodeUnknownVoice}) {
		t.Errorf("after it was removed: %v", err)
	}
	if status, refused, _ := ask(t, http.MethodDelete, d.url+"/v1/profiles/"+made.ID, "", nil, nil); status != http.StatusNotFound || refused.Code != wire.CodeUnknownProfile {
		t.Errorf("delete again: %d, %v", status, refused)
	}
}

func TestProfilesThatAreRefusedOverHTTP(t *testing.T) {
	cfg, profiles := profileConfig(t)
	d := serve(t, func(c *Config) { c.Infer.Models = cfg.Infer.Models })
	putProfile(t, "taken", unit(8), 200)
	he, name := recordings(t, man), formPart{"name", "", "he"}
	many := []formPart{name}
	for range maxUploadClips + 1 {
		many = append(many, formPart{"reference", "a.wav", "RIFF"})
	}
	for _, c := range []struct {
		what   string
		parts  []formPart
		status int
		code   wire.Code
		param  string
		words  string
	}{
		{"no name", he, 400, wire.CodeBadParam, "name", "no field 'name'"},
		{"a bad name", append(he[:2:2], formPart{"name", "", "../he"}), 400, wire.CodeBadParam, "name", "letters, digits"},
		{"an endless name", []formPart{{"name", "", strings.Repeat("x", 1<<20)}}, 400, wire.CodeBadParam, "name", "1 to 40"},
		{"a name that is taken", append(he[:2:2], formPart{"name", "", "taken"}), 409, wire.CodeNameTaken, "name", "already"},
		{"a voice's name", append(he[:2:2], formPart{"name", "", tinyVoice}), 409, wire.CodeNameTaken, "name", "built-in"},
		{"no recording", []formPart{name}, 400, wire.CodeBadParam, "reference", "no file"},
		{"no audio", []formPart{name, {"reference", "../dir/notes\u202e.txt", "some notes"}}, 422, wire.CodeBadAudio, "reference", "notes_.txt: neither WAV"},
		{"an empty file", []formPart{name, {"reference", "..", ""}}, 422, wire.CodeBadAudio, "reference", "recording: the file is empty"},
		{"too little speech", []formPart{name, he[0]}, 422, wire.CodeBadAudio, "reference", "2.9 s of speech"},
		{"too many", many, 413, wire.CodeTooLarge, "reference", "more than 16"},
	} {
		body, kind := form(t, c.parts...)
		status, refused, _ := ask(t, http.MethodPost, d.url+"/v1/profiles", kind, body, nil)
		if status != c.status || refused == nil || refused.Code != c.code || refused.Param != c.param {
			t.Errorf("%s: %d, %v, want %d, %s of %s", c.what, status, refused, c.status, c.code, c.param)
			continue
		}
		wantWords(t, refused, c.words)
		if strings.Contains(refused.Message, profiles.folder) {
			t.Errorf("%s: %q tells where it was kept", c.what, refused.Message)
		}
	}
	for what, body := range map[string]string{"JSON": `{"name":"he"}`, "nothing": ""} {
		if status, refused, _ := ask(t, http.MethodPost, d.url+"/v1/profiles", "application/json", strings.NewReader(body), nil); status != 400 || refused.Code != wire.CodeBadMessage {
			t.Errorf("%s: %d, %v", what, status, refused)
		}
	}
	if status, refused, _ := ask(t, http.MethodPost, d.url+"/v1/profiles", "multipart/form-data; boundary=x", strings.NewReader("--x\r\nhalf a part"), nil); status != 400 || refused.Code != wire.CodeBadMessage {
		t.Errorf("half a body: %d, %v", status, refused)
	}
	clean(t, profiles, "taken")
}

// TestAnEndlessUploadIsCut: it is refused at the limit and nothing of it stays.
func TestAnEndlessUploadIsCut(t *testing.T) {
	cfg, profiles := profileConfig(t)
	d := serve(t, func(c *Config) { c.Infer.Models = cfg.Infer.Models })
	conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", d.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(30 * time.Second))
	fmt.Fprintf(conn, "POST /v1/profiles HTTP/1.1\r\nHost: localhost\r\nContent-Type: multipart/form-data; boundary=x\r\nContent-Length: %d\r\n\r\n"+
		"--x\r\nContent-Disposition: form-data; name=\"reference\"; filename=\"a.wav\"\r\n\r\n", 2*maxUpload)
	block, sent := make([]byte, 1<<20), 0
	for ; sent < 2*maxUpload; sent += len(block) {
		if _, err := conn.Write(block); err != nil {
			break // cut off
		}
	}
	if sent >= 2*maxUpload {
		t.Errorf("all of %d bytes were taken, want at most about %d", sent, maxUpload)
	}
	eventually(t, "the upload is noticed", func() bool { return d.uploads.Load() == 0 })
	clean(t, profiles)
}

// TestAStopEndsAnUpload: the daemon does not wait for who sends slowly.
func TestAStopEndsAnUpload(t *testing.T) {
	cfg, profiles := profileConfig(t)
	d := serve(t, func(c *Config) { c.Infer.Models = cfg.Infer.Models })
	half, w := io.Pipe()
	defer w.Close()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, d.url+"/v1/profiles", half)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", "multipart/form-data; boundary=x")
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		if resp, err := http.DefaultClient.Do(r); err == nil {
			_ = resp.Body.Close()
		}
		http.DefaultClient.CloseIdleConnections()
	}()
	fmt.Fprint(w, "--x\r\nContent-Disposition: form-data; name=\"reference\"; filename=\"a.wav\"\r\n\r\nRIFF")
	eventually(t, "the upload is noticed", func() bool { return d.uploads.Load() == 1 })
	if err := d.stop(); err != nil {
		t.Errorf("stop: %v", err)
	}
	<-ended
	clean(t, profiles)
}
