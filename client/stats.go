package client

import (
	"sync/atomic"
	"time"
)

// Stats is what a stream has done so far.
type Stats struct {
	// SentFrames and ReceivedFrames are samples of one channel.
	SentFrames, ReceivedFrames uint64
	// LostReplies are reply frames that never came: the daemon dropped them because they were not read in time.
	LostReplies uint64
	// Returns is how often a lost connection was made again.
	Returns uint64
	// Blocked is how long sending has waited for the daemon to take more: back-pressure.
	Blocked time.Duration
}

type counters struct {
	sent, received, lost, returns atomic.Uint64
	blocked                       atomic.Int64
}

// Stats may be read while the stream runs.
func (s *Stream) Stats() Stats {
	return Stats{
		SentFrames: s.stats.sent.Load(), ReceivedFrames: s.stats.received.Load(), LostReplies: s.stats.lost.Load(),
		Returns: s.stats.returns.Load(), Blocked: time.Duration(s.stats.blocked.Load()),
	}
}
