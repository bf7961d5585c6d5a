package wire

import _ "embed"

// Schema is the JSON Schema of every message, which the daemon serves as /v1/schema. It is made of the types in this
// package, and a test keeps it so.
//
//go:embed schema.json
var Schema []byte
