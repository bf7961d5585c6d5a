package stream

import (
	"fmt"
	"sync/atomic"
)

// DropReason says why frames that came in never went out.
type DropReason uint8

// The reasons, in the order of every report. Their names are part of the protocol.
const (
	CaptureOverrun DropReason = iota // the pipeline was too slow for the capture ring
	CatchUp                          // dropped or shortened so that delay does not stay grown
	PlayoutOverrun                   // the playout ring had no room
	ClientSlow                       // a client did not take its audio in time
	Late                             // too old to be of use when it arrived
	Aborted                          // in flight when the session was cancelled or failed
	dropReasons
)

var dropNames = [dropReasons]string{
	"capture_overrun", "catch_up", "playout_overrun", "client_slow", "late", "aborted",
}

func (r DropReason) String() string {
	if r < dropReasons {
		return dropNames[r]
	}
	return fmt.Sprintf("reason(%d)", uint8(r))
}

// MarshalText gives the reason's name, so that it serves as a JSON key.
func (r DropReason) MarshalText() ([]byte, error) { return []byte(r.String()), nil }

// DropReasons lists every reason.
func DropReasons() []DropReason {
	all := make([]DropReason, dropReasons)
	for i := range all {
		all[i] = DropReason(i)
	}
	return all
}

// Ledger accounts for every frame of one session, in frames of the input's clock: what came in
// has gone out, was dropped for a reason, or is in flight. Any goroutine or callback may book
// and read; nothing waits. The zero Ledger is ready.
//
// Frames are booked in before they can be seen by whoever books them out or dropped, and a
// snapshot reads those counters first and `in` last; so "in flight" can be derived, is never
// negative, and the identity holds in every snapshot.
type Ledger struct {
	in      atomic.Uint64
	out     atomic.Uint64
	dropped [dropReasons]atomic.Uint64
}

// In books frames that entered the session.
func (l *Ledger) In(frames int) { l.in.Add(uint64(frames)) }

// Out books frames delivered.
func (l *Ledger) Out(frames int) { l.out.Add(uint64(frames)) }

// Drop books frames lost for a reason.
func (l *Ledger) Drop(why DropReason, frames int) { l.dropped[why].Add(uint64(frames)) }

// Settle books whatever is still in flight as dropped and says how much that was. It is for the
// end of a session, when nobody books any more.
func (l *Ledger) Settle(why DropReason) int {
	n := l.Snapshot().InFlight
	l.Drop(why, int(n))
	return int(n)
}

// LedgerSnapshot is a Ledger at one moment: In = Out + the sum of Dropped + InFlight.
type LedgerSnapshot struct {
	In       uint64  `json:"in"`
	Out      uint64  `json:"out"`
	Dropped  Dropped `json:"dropped"`
	InFlight uint64  `json:"in_flight"`
}

// Dropped counts the frames lost for each reason.
type Dropped struct {
	CaptureOverrun uint64 `json:"capture_overrun"`
	CatchUp        uint64 `json:"catch_up"`
	PlayoutOverrun uint64 `json:"playout_overrun"`
	ClientSlow     uint64 `json:"client_slow"`
	Late           uint64 `json:"late"`
	Aborted        uint64 `json:"aborted"`
}

// By is the count for one reason.
func (d Dropped) By(r DropReason) uint64 {
	return [dropReasons]uint64{
		d.CaptureOverrun, d.CatchUp, d.PlayoutOverrun, d.ClientSlow, d.Late, d.Aborted,
	}[r]
}

// Sum is the count for all reasons.
func (d Dropped) Sum() uint64 {
	return d.CaptureOverrun + d.CatchUp + d.PlayoutOverrun + d.ClientSlow + d.Late + d.Aborted
}

// Snapshot reads the ledger.
func (l *Ledger) Snapshot() LedgerSnapshot {
	s := LedgerSnapshot{
		Dropped: Dropped{
			CaptureOverrun: l.dropped[CaptureOverrun].Load(),
			CatchUp:        l.dropped[CatchUp].Load(),
			PlayoutOverrun: l.dropped[PlayoutOverrun].Load(),
			ClientSlow:     l.dropped[ClientSlow].Load(),
			Late:           l.dropped[Late].Load(),
			Aborted:        l.dropped[Aborted].Load(),
		},
		Out: l.out.Load(),
	}
	s.In = l.in.Load()
	s.InFlight = s.In - s.Out - s.Dropped.Sum()
	return s
}
