package web

import (
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"io/fs"
	"net/http"
	"path"
	"strings"
)

//go:embed page
var files embed.FS

// policy lets the page load what the daemon serves and nothing else: it works without a network, and what others wrote into a voice's
// name cannot run. blob: is what the page made itself, as recordings to play.
const policy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; font-src 'self'; media-src 'self' blob:; " +
	"connect-src 'self' blob:; worker-src 'self'; manifest-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

// types by ending: what the system's own list says of them differs from machine to machine.
var types = map[string]string{
	".html":  "text/html; charset=utf-8",
	".css":   "text/css; charset=utf-8",
	".js":    "text/javascript; charset=utf-8",
	".svg":   "image/svg+xml",
	".woff2": "font/woff2",
	".txt":   "text/plain; charset=utf-8",
}

// Handler serves the page at the root. Browsers keep it, and ask each time whether it is still the same, by an ETag: so a new daemon
// is never seen through an old page.
func Handler() http.Handler {
	page, err := fs.Sub(files, "page")
	if err != nil {
		panic(err) // the path is a constant
	}
	tags := map[string]string{}
	err = fs.WalkDir(page, ".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		data, err := fs.ReadFile(page, name)
		sum := sha256.Sum256(data)
		tags[name] = `"` + hex.EncodeToString(sum[:12]) + `"`
		return err
	})
	if err != nil {
		panic(err) // the files are part of the program
	}
	serve := http.FileServerFS(page)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		name := strings.TrimPrefix(path.Clean(r.URL.Path), "/")
		if name == "" {
			name = "index.html"
		}
		tag, ok := tags[name]
		if !ok { // no listings of folders, no redirects
			http.NotFound(w, r)
			return
		}
		h := w.Header()
		h.Set("ETag", tag)
		h.Set("Cache-Control", "no-cache")
		h.Set("Content-Type", types[path.Ext(name)])
		h.Set("Content-Security-Policy", policy)
		h.Set("Cross-Origin-Opener-Policy", "same-origin")
		h.Set("Cross-Origin-Embedder-Policy", "require-corp") // with the line above: finer clocks in the page
		h.Set("Permissions-Policy", "microphone=(self), speaker-selection=(self), camera=(), geolocation=()")
		h.Set("Referrer-Policy", "no-referrer") // the address may hold a token
		h.Set("X-Content-Type-Options", "nosniff")
		serve.ServeHTTP(w, r)
	})
}
