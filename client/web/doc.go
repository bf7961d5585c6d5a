// Package web is the page that the daemon serves at its root: embedded, with no build step, no framework and nothing from elsewhere.
//
// Sound takes the short way. The worklet (page/js/voice.worklet.js) is both the microphone's end and the headphones', on the audio
// thread; it speaks to the worker (stream.worker.js) that owns the socket over a port of their own, so the page's thread, which draws,
// delays no sound. Replies wait in a jitter buffer (playout.js) that holds as little as the line allows.
package web
