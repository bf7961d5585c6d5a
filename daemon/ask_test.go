package daemon

import (
	"encoding/json"
	"io"
	"net/http"
	"testing"
	"time"

	"github.com/autovoiced/autovoiced/client/wire"
)

// send makes a request, on a connection of its own that does not stay: an idle one would look like a leak. It does not say so beforehand, as
// a server that is told closes at once where it refuses a long body, and its answer is lost.
func send(t testing.TB, r *http.Request) (status int, text []byte, header http.Header) {
	t.Helper()
	c := http.Client{Transport: &http.Transport{}, Timeout: 2 * time.Minute}
	defer c.CloseIdleConnections()
	resp, err := c.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close() //nolint:errcheck // it was only read
	if text, err = io.ReadAll(resp.Body); err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, text, resp.Header
}

// get answers with what stands at a path.
func get(t testing.TB, d *testDaemon, path string) (status int, text string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, d.url+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	status, answer, _ := send(t, r)
	return status, string(answer)
}

// ask makes a request and decodes its answer into a value, unless that is nil, or the error that it is.
func ask(t testing.TB, method, url, contentType string, body io.Reader, into any) (status int, refused *wire.Error, header http.Header) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, url, body)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", contentType)
	status, text, header := send(t, r)
	if status >= 400 {
		refused = new(wire.Error)
		into = refused
	}
	if into != nil {
		if err := json.Unmarshal(text, into); err != nil {
			t.Fatalf("%s %s: %d, %s: %v", method, url, status, text, err)
		}
	}
	return status, refused, header
}
