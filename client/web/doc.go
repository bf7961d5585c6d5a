// Package web is the page that the daemon serves at its root: embedded, with no build step.
package web
