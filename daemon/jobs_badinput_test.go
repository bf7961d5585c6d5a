package daemon

import (
	"encoding/binary"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/autovoiced/autovoiced/client/wire"
	"github.com/autovoiced/autovoiced/dsp"
)

// pcmFile is a WAV file of samples.
func pcmFile(t *testing.T, rate int, x []float32) []byte {
	t.Helper()
	path := filepath.Join(t.TempDir(), "x.wav")
	writeWAV(t, path, rate, dsp.S16LE, x)
	return contents(t, path)
}

func contents(t *testing.T, path string) []byte {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// header sets a field in a WAV file's header.
func header(file []byte, at int, value ...byte) []byte {
	copy(file[at:], value)
	return file
}

// TestBadSongsOverHTTP: what is wrong is told with the file's name, at once where it shows at once, and nothing stays.
func TestBadSongsOverHTTP(t *testing.T) {
	d, folder := jobsDaemon(t)
	const formats = "../testdata/audio/formats/"
	mp3, ogg, tone := contents(t, formats+"cbr.mp3"), contents(t, formats+"stereo.ogg"), buzz(8000, 16000)
	const atOnce, later = http.StatusUnprocessableEntity, 0
	for _, c := range []struct {
		name   string
		song   []byte
		status int
		want   string
	}{
		{"notes.mp3", []byte("milk\neggs\n"), atOnce, "neither WAV, FLAC, MP3 nor Ogg Vorbis"},
		{"empty.wav", nil, atOnce, "the file is empty"},
		{"cut.flac", truncatedFLAC(t), later, "the file is truncated"},
		{"cut.mp3", mp3[:len(mp3)/2], atOnce, "the file is truncated"},
		{"cut.ogg", ogg[:len(ogg)/2], atOnce, "the file is truncated"},
		{"short.wav", pcmFile(t, 16000, tone[:80]), atOnce, "5ms of sound, at least 50ms"},
		{"no-channels.wav", header(pcmFile(t, 16000, tone), 22, 0, 0), atOnce, "0 channels, possible are 1 to 8"},
		{"fast.wav", header(pcmFile(t, 16000, tone), 24, binary.LittleEndian.AppendUint32(nil, 384000)...), atOnce, "384000 Hz, possible are 8000 to 192000"},
	} {
		if c.song == nil {
			c.song = []byte{}
		}
		kind, body := songForm(t, `{"preset":"fast"}`, c.name, c.song)
		var job wire.Job
		status, refused, _ := ask(t, http.MethodPost, d.url+"/v1/convert", kind, body, &job)
		if c.status == later {
			events := followJob(t, d, job.ID)
			refused = events[len(events)-1].Error
			if status != http.StatusAccepted {
				t.Errorf("%s: %d", c.name, status)
			}
			jobCall(t, d, http.MethodDelete, "/"+job.ID, nil)
		} else if status != c.status {
			t.Errorf("%s: %d, want %d", c.name, status, c.status)
		}
		if refused == nil || refused.Code != wire.CodeBadAudio || refused.Param != "song" || strings.Contains(refused.Message, folder) {
			t.Errorf("%s: %+v, want %s of the song", c.name, refused, wire.CodeBadAudio)
			continue
		}
		wantWords(t, refused, c.name, c.want)
	}
	eventually(t, "nothing is left", func() bool { return len(jobFiles(t, folder)) == 0 })
}

// TestStrangeSongsOverHTTP: nobody sings in them, or they are nothing but clipping; that is no error, and is told.
func TestStrangeSongsOverHTTP(t *testing.T) {
	d, _ := jobsDaemon(t)
	square := buzz(16000, 16000)
	for i, v := range square {
		square[i] = 1
		if v < 0 {
			square[i] = -1
		}
	}
	for name, c := range map[string]struct {
		x    []float32
		says string
	}{"silence.wav": {make([]float32, 16000), "no voice was found"}, "square.wav": {square, "clipped"}} {
		events := followJob(t, d, post(t, d, `{"preset":"fast"}`, name, pcmFile(t, 16000, c.x)).ID)
		last := events[len(events)-1]
		if last.State != wire.JobDone || !strings.Contains(strings.Join(last.Result.Notes, "\n"), c.says) {
			t.Errorf("%s: %+v, %+v, want a note that says %q", name, last, last.Result, c.says)
		}
	}
}

// onSmallDisk runs the test that calls it again in a process that may mount, with a disk of 256 kB at the folder that it returns there; ""
// here. It skips where that is not allowed.
func onSmallDisk(t *testing.T) string {
	t.Helper()
	if dir := os.Getenv("TEST_SMALL_DISK"); dir != "" {
		_ = unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, "") // what fails shows at the next
		if err := unix.Mount("tmpfs", dir, "tmpfs", 0, "size=256k"); err != nil {
			t.Skip("no disk of its own: ", err)
		}
		return dir
	}
	child := exec.Command(os.Args[0], "-test.run=^"+t.Name()+"$", "-test.v")
	child.Env = append(os.Environ(), "TEST_SMALL_DISK="+t.TempDir())
	child.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags:  syscall.CLONE_NEWUSER | syscall.CLONE_NEWNS,
		UidMappings: []syscall.SysProcIDMap{{HostID: os.Getuid(), Size: 1}}, GidMappings: []syscall.SysProcIDMap{{HostID: os.Getgid(), Size: 1}},
	}
	out, err := child.CombinedOutput()
	switch {
	case child.ProcessState == nil:
		t.Skip("no process that may mount: ", err)
	case err != nil:
		t.Errorf("%v: %s", err, out)
	case strings.Contains(string(out), "--- SKIP"):
		t.Skipf("%s", out)
	}
	return ""
}

// TestFullDiskOverHTTP: a song that there is no room for, one whose result there is none for, and recordings of a speaker.
func TestFullDiskOverHTTP(t *testing.T) {
	dir := onSmallDisk(t)
	if dir == "" {
		return
	}
	t.Setenv("XDG_DATA_HOME", dir) // of profiles
	d := serve(t, func(c *Config) { c.Jobs.Folder, c.Voice.Name = filepath.Join(dir, "jobs"), tinyVoice })
	tell := func(what string, status int, e *wire.Error) {
		t.Helper()
		if status != http.StatusInsufficientStorage || e == nil || e.Code != wire.CodeDiskFull || !e.Retryable || strings.Contains(e.Message, dir) {
			t.Errorf("%s: %d, %+v, want %d and %s", what, status, e, http.StatusInsufficientStorage, wire.CodeDiskFull)
		}
	}
	kind, body := songForm(t, "", "long.wav", wavBytes(t, 48000, 4))
	status, refused, _ := ask(t, http.MethodPost, d.url+"/v1/convert", kind, body, nil)
	tell("a song", status, refused)

	events := followJob(t, d, post(t, d, `{"preset":"fast","sample_rate":48000}`, "song.wav", wavBytes(t, 16000, 4)).ID)
	last := events[len(events)-1]
	if last.State != wire.JobFailed || last.Error == nil {
		t.Fatalf("a result: %+v", last)
	}
	tell("a result", httpStatus(last.Error.Code), last.Error)

	form, kind := form(t, formPart{"name", "", "he"}, formPart{"reference", "he.wav", string(wavBytes(t, 48000, 4))})
	status, refused, _ = ask(t, http.MethodPost, d.url+"/v1/profiles", kind, form, nil)
	tell("recordings", status, refused)
	if files := jobFiles(t, dir); len(files) != 0 {
		t.Errorf("left behind: %v", files)
	}
}
