// Package client talks to an autovoiced daemon: Dial opens a stream that converts a voice, Watch
// follows the status feed. The protocol is described in client/wire; the examples are whole programs.
//
// Samples are mono float32, full scale ±1, at any rate from 8 to 48 kHz: the daemon brings them to the voice's own rate
// and back. Sending and receiving go on at the same time: a client that sends everything before it receives
// is held back by the daemon and then dropped as slow. Send blocks while it is held back; Stats tells for how
// long.
//
// A lost connection is made again by whoever is in Recv, within the time that the daemon waits, and the stream goes on
// without a sample missing or heard twice.
package client
