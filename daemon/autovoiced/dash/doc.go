// Package dash shows what a daemon does: as plain lines for pipes and files (plain.go), and as a screen with keys for terminals.
//
// The screen is a Bubble Tea program: statuses, log lines and keys come in as messages (model.go), and each change is drawn
// anew from the newest status (view.go) in whatever room the terminal has. What keys change goes out through Controls, one
// change after the other (keys.go). The package knows neither the daemon nor the network.
package dash
