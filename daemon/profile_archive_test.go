package daemon

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"compress/gzip"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/autovoiced/autovoiced/infer"
)

// What is exported and imported is the same profile, clips and all, in either format and under any name.
func TestExportAndImport(t *testing.T) {
	cfg, profiles := profileConfig(t)
	made := addProfile(t, cfg, "original", man...)
	dir := t.TempDir()
	for i, file := range []string{"a.tar.gz", "b.tgz", "c.zip"} {
		path := filepath.Join(dir, file)
		if err := profiles.Export("original", path); err != nil {
			t.Fatal(err)
		}
		name := []string{"x", "y", "z"}[i]
		if _, err := profiles.Import(t.Context(), cfg, path, name); err != nil {
			t.Fatal(err)
		}
		got, err := profiles.Find(name)
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range made.Clips {
			if a, b := readFile(t, profiles.Folder("original"), c.File), readFile(t, profiles.Folder(name), c.File); !bytes.Equal(a, b) {
				t.Errorf("%s: clip %s differs", file, c.File)
			}
		}
		if got.Name != name {
			t.Errorf("%s: named %q", file, got.Name)
		}
		if got.Name = made.Name; !reflect.DeepEqual(got, made) {
			t.Errorf("%s: %+v, want %+v", file, got, made)
		}
	}
	// To another machine, under its own name.
	ownProfiles(t)
	elsewhere := OpenProfiles()
	pr, err := elsewhere.Import(t.Context(), cfg, filepath.Join(dir, "c.zip"), "")
	if err != nil || !reflect.DeepEqual(pr, made) {
		t.Errorf("%+v, %v", pr, err)
	}
	_, err = elsewhere.Import(t.Context(), cfg, filepath.Join(dir, "a.tar.gz"), "")
	wantWords(t, err, "original", "already")
	_, err = elsewhere.Import(t.Context(), cfg, filepath.Join(dir, "a.tar.gz"), tinyVoice)
	wantWords(t, err, tinyVoice, "built-in")
	clean(t, elsewhere, "original")

	err = elsewhere.Export("original", filepath.Join(dir, "c.zip"))
	wantWords(t, err, "c.zip", "already")
	err = elsewhere.Export("original", filepath.Join(dir, "c.rar"))
	wantWords(t, err, "c.rar", ".zip", ".tar.gz")
	err = elsewhere.Export("original", filepath.Join(dir, "none", "c.zip"))
	wantWords(t, err, "none", "no such file")
	if err := elsewhere.Export("nobody", filepath.Join(dir, "n.zip")); !errors.Is(err, ErrNoProfile) {
		t.Errorf("%v", err)
	}
	if err := os.Truncate(filepath.Join(elsewhere.Folder("original"), "clip-02.flac"), 1000); err != nil {
		t.Fatal(err)
	}
	err = elsewhere.Export("original", filepath.Join(dir, "cut.zip"))
	wantWords(t, err, "original", "clip-02.flac", "1000 bytes")
	left, err := os.ReadDir(dir)
	if err != nil || len(left) != 3 {
		t.Errorf("%v, %v, want the three archives alone", left, err)
	}
}

func readFile(t *testing.T, folder, name string) []byte {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(folder, name))
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// An archive from anywhere is refused by what is wrong with it, and leaves nothing behind.
func TestArchivesThatAreRefused(t *testing.T) {
	cfg, profiles := profileConfig(t)
	made, good := smallProfile(t)
	edit := func(old, new string) func([]member) []member {
		return func(m []member) []member {
			m[0].data = bytes.Replace(m[0].data, []byte(old), []byte(new), 1)
			return m
		}
	}
	rename := func(i int, name string) func([]member) []member {
		return func(m []member) []member { m[i].name = name; return m }
	}
	for _, c := range []struct {
		name   string
		change func([]member) []member
		words  []string
	}{
		{"no profile.json", func(m []member) []member { return m[1:] }, []string{"profile.json", "not an exported profile"}},
		{"no clip", func(m []member) []member { return m[:2] }, []string{"clip-02.flac", "does not exist"}},
		{"one more file", func(m []member) []member { return append(m, member{"run.sh", nil}) }, []string{"run.sh", "no file of the profile"}},
		{"a file twice", func(m []member) []member { return append(m, m[1]) }, []string{"clip-01.flac", "twice"}},
		{"a deeper folder", rename(2, "deep/clip-02.flac"), []string{"deep/clip-02.flac", "one folder"}},
		{"upwards", rename(2, "../clip-02.flac"), []string{"clip-02.flac", "one folder"}},
		{"from the root", rename(2, "/etc/clip-02.flac"), []string{"clip-02.flac", "one folder"}},
		{"another system's path", rename(2, `..\clip-02.flac`), []string{"clip-02.flac", "one folder"}},
		{"a clip of other bytes", func(m []member) []member { m[1].data[500]++; return m }, []string{"clip-01.flac", "not the file"}},
		{"a clip cut off", func(m []member) []member { m[1].data = m[1].data[:900]; return m }, []string{"clip-01.flac", "900 bytes found"}},
		{"a clip that is text", func(m []member) []member {
			m[1].data = []byte("la la la")
			return edit(made.Clips[0].SHA256, sumText(m[1].data))(edit(`"bytes": `+itoa(made.Clips[0].Bytes), `"bytes": 8`)(m))
		}, []string{"clip-01.flac", "neither WAV, FLAC, MP3 nor Ogg Vorbis"}},
		{"a huge file", func(m []member) []member { return append(m, member{"zeros.flac", make([]byte, maxClipFile+1)}) }, []string{"zeros.flac", "too large"}},
		{"many files", func(m []member) []member {
			for range maxClips {
				m = append(m, member{"x.flac", nil})
			}
			return m
		}, []string{"more than 65 files"}},
		{"no JSON", edit("{", "<"), []string{"profile.json", "not a profile"}},
		{"a later format", edit(`"format": 1`, `"format": 7`), []string{"profile.json", "format 7"}},
		{"a name that is a path", edit(`"good"`, `"../good"`), []string{"profile name", "../good"}},
		{"a voice's name", edit(`"good"`, `"`+passthrough+`"`), []string{passthrough, "built-in voice"}},
		{"a long embedding", edit(`"embedding": [`, `"embedding": [5,`), []string{"'embedding'", "9 values", "length 1"}},
		{"no embedding", edit(`"embedding"`, `"embeding"`), []string{"'embedding'", "0 values"}},
		{"an infinite embedding", edit(`"embedding": [`, `"embedding": [1e999,`), []string{"not a profile"}},
		{"an embedding of text", edit(`"embedding": [`, `"embedding": ["NaN",`), []string{"not a profile"}},
		{"a pitch of 0", edit(`"median_hz": `, `"median_hz": 0, "was": `), []string{"'median_hz'", "0"}},
		{"a short tone", edit(`"embedding": [`, `"tone": [1, 2], "embedding": [`), []string{"'tone'", "2 bands", "23"}},
		{"a loud tone", edit(`"embedding": [`, `"tone": [`+strings.Repeat("0, ", infer.ToneBands-1)+`99], "embedding": [`), []string{"'tone'", "99 dB at 10000 Hz"}},
		{"a clip outside", edit(`"clip-01.flac"`, `"../clip-01.flac"`), []string{"../clip-01.flac"}},
	} {
		var members []member
		for _, m := range good {
			members = append(members, member{m.name, slices.Clone(m.data)})
		}
		members = c.change(members)
		for _, kind := range []string{".zip", ".tar.gz"} {
			_, err := profiles.Import(t.Context(), cfg, archive(t, kind, members), "")
			if err == nil {
				t.Errorf("%s in %s: no error", c.name, kind)
				continue
			}
			wantWords(t, err, append(c.words, kind)...)
		}
	}
	clean(t, profiles)

	whole := archive(t, ".tar.gz", good)
	data := readFile(t, "", whole)
	for name, content := range map[string][]byte{
		"text.zip": []byte("no archive"), "empty.zip": nil, "cut.tar.gz": data[:len(data)/2], "end.tar.gz": data[:len(data)-4], "PK.zip": []byte("PK"),
		"link.tar.gz": tarLink(t),
	} {
		path := filepath.Join(t.TempDir(), name)
		if err := os.WriteFile(path, content, 0o600); err != nil {
			t.Fatal(err)
		}
		_, err := profiles.Import(t.Context(), cfg, path, "")
		wantWords(t, err, name)
	}
	_, err := profiles.Import(t.Context(), cfg, filepath.Join(t.TempDir(), "none.zip"), "")
	if !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("%v", err)
	}
	clean(t, profiles)
	if _, err := profiles.Import(t.Context(), cfg, whole, ""); err != nil {
		t.Errorf("the archive that all these were made of: %v", err)
	}
}

// smallProfile is a profile called good with two clips of half a second, as the files that it is made of.
func smallProfile(t *testing.T) (*Profile, []member) {
	t.Helper()
	folder := t.TempDir()
	pr := &Profile{Format: ProfileFormat, ID: newProfileID(), Name: "good", Study: Study{Embedding: unit(8), MedianHz: 120}}
	members := []member{{}}
	for _, name := range []string{"clip-01.flac", "clip-02.flac"} {
		c := &clip{rate: 16000, samples: buzz(8000, 16000)}
		if err := c.writeFLAC(filepath.Join(folder, name)); err != nil {
			t.Fatal(err)
		}
		data := readFile(t, folder, name)
		pr.Clips = append(pr.Clips, Clip{File: name, Bytes: int64(len(data)), SHA256: sumText(data)})
		members = append(members, member{name, data})
	}
	if err := pr.write(folder); err != nil {
		t.Fatal(err)
	}
	members[0] = member{profileFile, readFile(t, folder, profileFile)}
	return pr, members
}

func itoa(n int64) string { return strconv.FormatInt(n, 10) }

func archive(t *testing.T, kind string, members []member) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "profile"+kind)
	var b bytes.Buffer
	var err error
	if kind == ".zip" {
		z := zip.NewWriter(&b)
		for _, m := range members {
			w, cerr := z.Create(m.name)
			if cerr == nil {
				_, cerr = w.Write(m.data)
			}
			err = errors.Join(err, cerr)
		}
		err = errors.Join(err, z.Close())
	} else {
		g := gzip.NewWriter(&b)
		w := tar.NewWriter(g)
		for _, m := range members {
			err = errors.Join(err, w.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: m.name, Mode: 0o600, Size: int64(len(m.data))}))
			_, werr := w.Write(m.data)
			err = errors.Join(err, werr)
		}
		err = errors.Join(err, w.Close(), g.Close())
	}
	if err = errors.Join(err, os.WriteFile(path, b.Bytes(), 0o600)); err != nil {
		t.Fatal(err)
	}
	return path
}

// Whatever the bytes are, an archive is a sound profile or an error.
func FuzzProfileArchive(f *testing.F) {
	pr := &Profile{Format: ProfileFormat, Name: "x", Study: Study{Embedding: unit(4), MedianHz: 120}}
	folder := f.TempDir()
	if err := pr.write(folder); err != nil {
		f.Fatal(err)
	}
	text, err := os.ReadFile(filepath.Join(folder, profileFile))
	if err != nil {
		f.Fatal(err)
	}
	for _, pack := range []func(io.Writer, string, time.Time, []member) error{packZip, packTar} {
		var b bytes.Buffer
		if err := pack(&b, "x", time.Time{}, []member{{profileFile, text}}); err != nil {
			f.Fatal(err)
		}
		f.Add(b.Bytes())
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		pr, _, err := unpack(t.Context(), data)
		if err == nil && (checkProfileName(pr.Name) != nil || pr.check() != nil) {
			t.Errorf("let through: %+v", pr)
		}
	})
}

// tarLink is an archive whose profile.json is a link to a file of the reader's.
func tarLink(t *testing.T) []byte {
	t.Helper()
	var b bytes.Buffer
	g := gzip.NewWriter(&b)
	w := tar.NewWriter(g)
	err := w.WriteHeader(&tar.Header{Typeflag: tar.TypeSymlink, Name: profileFile, Linkname: "/etc/passwd"})
	if err = errors.Join(err, w.Close(), g.Close()); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}
