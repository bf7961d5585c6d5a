// Package wire is protocol v1 between autovoiced and its clients: the JSON messages, the binary
// audio header, the PCM formats, the error codes and the limits. README.md in this folder is the
// protocol in prose; the vectors in testdata/wire hold it still for other implementations.
//
// The package knows no socket and no audio device: it turns bytes into values and back.
package wire
