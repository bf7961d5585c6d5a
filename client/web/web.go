package web

import "embed"

// Files is the page and what it loads; index.html is at the root.
//
//go:embed index.html
var Files embed.FS
