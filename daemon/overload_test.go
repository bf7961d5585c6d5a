package daemon

import (
	"slices"
	"testing"

	"github.com/autovoiced/autovoiced/stream"
)

// TestOverloadBegins: in a row or on the whole, not at a hiccup, and once until it has passed.
func TestOverloadBegins(t *testing.T) {
	for name, c := range map[string]struct {
		looks []stream.Load
		told  []int // the looks that are told of
	}{
		"idle":                  {[]stream.Load{{Mean: 20}, {Mean: 30, Run: 3}, {Mean: 20}}, nil},
		"a hiccup":              {[]stream.Load{{Mean: 20}, {Mean: 150, Run: 1}, {Mean: 110}, {Mean: 40}, {Mean: 120}, {Mean: 101}, {Mean: 20}}, nil},
		"in a row":              {[]stream.Load{{Mean: 20}, {Mean: 70, Run: overloadRun}, {Mean: 130, Run: 100}, {Mean: 130, Run: 200}}, []int{1}},
		"some are in time":      {[]stream.Load{{Mean: 135}, {Mean: 120, Run: 2}, {Mean: 140, Run: 5}, {Mean: 130}}, []int{2}},
		"it comes and goes":     {[]stream.Load{{Mean: 130, Run: 30}, {Mean: 90}, {Mean: 130, Run: 30}, {Mean: 85}, {Mean: 120, Run: 40}}, []int{0}},
		"it is over, and again": {[]stream.Load{{Mean: 130, Run: 30}, {Mean: 60}, {Mean: 130, Run: 30}}, []int{0, 2}},
	} {
		var o overload
		var told []int
		for i, load := range c.looks {
			if o.begins(load) {
				told = append(told, i)
			}
		}
		if !slices.Equal(told, c.told) {
			t.Errorf("%s: told at %v, want %v", name, told, c.told)
		}
	}
}
