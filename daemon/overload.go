package daemon

import "github.com/autovoiced/autovoiced/stream"

// What is too much for the machine: so many chunks in a row that take longer than they last, or all of them together for so many
// looks, a second apart. On a machine that others use, too, some chunks are in time even while most are late.
const (
	overloadRun   = 20
	overloadLooks = 3
	overloadGone  = 80 // percent, below which it is over: one that comes and goes is told once
)

// overload notices when it is.
type overload struct {
	looks int // in a row in which the mean was above 100 %
	told  bool
}

// begins says whether this look is the first to find it.
func (o *overload) begins(load stream.Load) bool {
	if o.looks++; load.Mean <= 100 {
		o.looks = 0
	}
	over := load.Run >= overloadRun || o.looks >= overloadLooks
	begins := over && !o.told
	o.told = over || o.told && load.Mean > overloadGone
	return begins
}
