package wire

import "time"

// Profile is one entry of GET /v1/profiles: a target voice that the daemon's owner has added.
type Profile struct {
	Name          string    `json:"name"`
	ID            string    `json:"id"`
	Created       time.Time `json:"created"`
	MedianHz      float64   `json:"median_hz"`
	SpeechSeconds float64   `json:"speech_seconds"`
	Recordings    int       `json:"recordings"`
	// Warnings say what is wrong with the recordings, one a sentence.
	Warnings []string `json:"warnings"`
	// Unusable says why no pack can speak as the profile; empty when one can.
	Unusable string `json:"unusable,omitempty"`
}
