package web_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"github.com/autovoiced/autovoiced/client/web"
	"github.com/autovoiced/autovoiced/client/web/webtest"
	"github.com/autovoiced/autovoiced/client/wire"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func get(t *testing.T, path string, header ...string) *http.Response {
	t.Helper()
	r := httptest.NewRequest(http.MethodGet, path, http.NoBody)
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	web.Handler().ServeHTTP(w, r)
	return w.Result()
}

func TestTypesAndCaching(t *testing.T) {
	for path, want := range map[string]string{
		"/": "text/html; charset=utf-8", "/style.css": "text/css; charset=utf-8", "/js/app.js": "text/javascript; charset=utf-8",
		"/icon.svg": "image/svg+xml", "/inter.woff2": "font/woff2", "/inter-OFL.txt": "text/plain; charset=utf-8",
	} {
		answer := get(t, path)
		if answer.StatusCode != http.StatusOK || answer.Header.Get("Content-Type") != want {
			t.Errorf("%s: %d, %q, want %q", path, answer.StatusCode, answer.Header.Get("Content-Type"), want)
		}
		if answer.Header.Get("X-Content-Type-Options") != "nosniff" || !strings.Contains(answer.Header.Get("Content-Security-Policy"), "default-src 'none'") {
			t.Errorf("%s: headers %v", path, answer.Header)
		}
		tag := answer.Header.Get("ETag")
		if again := get(t, path, "If-None-Match", tag); again.StatusCode != http.StatusNotModified {
			t.Errorf("%s: asked again with its ETag %s: %d, want 304", path, tag, again.StatusCode)
		}
		if again := get(t, path, "If-None-Match", `"of an older daemon"`); again.StatusCode != http.StatusOK {
			t.Errorf("%s: asked again with another ETag: %d, want 200", path, again.StatusCode)
		}
	}
	for _, path := range []string{"/js/", "/js", "/absent.js", "/web.go"} {
		if answer := get(t, path); answer.StatusCode != http.StatusNotFound {
			t.Errorf("%s: %d, want 404", path, answer.StatusCode)
		}
	}
}

// The page must not fetch anything from elsewhere, and be small: 300 kB are loaded in no time by the slowest machine's browser.
func TestSmallAndAlone(t *testing.T) {
	total := 0
	elsewhere := regexp.MustCompile(`(?i)(src|href|url)\s*[=(]\s*["']?(https?:)?//`)
	err := filepath.WalkDir("page", func(path string, entry os.DirEntry, err error) error {
		if err != nil || entry.IsDir() || strings.HasSuffix(path, ".txt") {
			return err
		}
		data, err := os.ReadFile(path)
		total += len(data)
		if found := elsewhere.Find(data); found != nil && !strings.HasSuffix(path, ".woff2") {
			t.Errorf("%s loads something from elsewhere: %s", path, found)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("the page is %d bytes", total)
	if total > 300_000 {
		t.Errorf("the page is %d bytes, want 300000 at most", total)
	}
}

// What needs no sound card: frames and messages against the vectors of the protocol, ring, jitter buffer, takes.
func TestUnits(t *testing.T) {
	mux := http.NewServeMux()
	mux.Handle("/", web.Handler())
	mux.Handle("/wire/", http.StripPrefix("/wire/", http.FileServer(http.Dir("../../testdata/wire"))))
	mux.HandleFunc("/units.js", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/javascript")
		http.ServeFile(w, r, "testdata/units.js")
	})
	server := httptest.NewServer(mux)
	defer server.Close()
	b := webtest.Open(t, "")
	b.Go(server.URL + "/inter-OFL.txt") // a page of this origin that does nothing
	results := webtest.Eval[[]struct{ Name, Error string }](b, `import("/units.js").then((units) => units.run())`)
	if len(results) < 12 {
		t.Errorf("%d tests ran", len(results))
	}
	for _, r := range results {
		t.Run(r.Name, func(t *testing.T) {
			if r.Error != "" {
				t.Error(r.Error)
			}
		})
	}
	t.Run("messages", func(t *testing.T) {
		wantMessages(t, webtest.Eval[[]saying](b, `import("/units.js").then((units) => units.said())`))
	})
}

// saying is the text that the page made of a message of testdata/wire.
type saying struct{ Name, Text string }

// wantMessages reads what the page says as the daemon does: each is the message that the vector is, with no field that is not known.
func wantMessages(t *testing.T, said []saying) {
	t.Helper()
	data, err := os.ReadFile("../../testdata/wire/messages.json")
	if err != nil {
		t.Fatal(err)
	}
	var vectors struct {
		Client []struct {
			Name string
			JSON json.RawMessage
		}
	}
	if err := json.Unmarshal(data, &vectors); err != nil {
		t.Fatal(err)
	}
	if len(said) != len(vectors.Client) || len(said) < 10 {
		t.Fatalf("the page said %d messages, the vectors are %d", len(said), len(vectors.Client))
	}
	for i, v := range vectors.Client {
		want, _, fault := wire.DecodeClient(v.JSON)
		if fault != nil {
			t.Fatal(fault)
		}
		got, ignored, fault := wire.DecodeClient([]byte(said[i].Text))
		if fault != nil || len(ignored) > 0 || !reflect.DeepEqual(got, want) {
			t.Errorf("%s: the page says %s, which is %+v (ignored %q, %v), want %+v", v.Name, said[i].Text, got, ignored, fault, want)
		}
	}
}
