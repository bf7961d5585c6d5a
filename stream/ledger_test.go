package stream

import (
	"encoding/json"
	"strings"
	"sync"
	"testing"
)

func TestLedgerAddsUpInEverySnapshot(t *testing.T) {
	var l Ledger
	var all sync.WaitGroup
	flight := make(chan int, 8)
	all.Go(func() {
		for i := range 50_000 {
			l.In(i%7 + 1)
			flight <- i%7 + 1
		}
		close(flight)
	})
	all.Go(func() {
		for n := range flight {
			if n == 3 {
				l.Drop(ClientSlow, n)
			} else {
				l.Out(n)
			}
		}
	})
	for done := false; !done; {
		s := l.Snapshot()
		if s.In != s.Out+s.Dropped.Sum()+s.InFlight {
			t.Fatalf("%+v does not add up", s)
		}
		if s.InFlight > 1<<40 {
			t.Fatalf("%+v: negative in flight", s)
		}
		done = s.In == 50_000*4-11 || s.Out+s.Dropped.Sum() > 190_000
	}
	all.Wait()
	if s := l.Snapshot(); s.InFlight != 0 || s.Dropped.ClientSlow == 0 {
		t.Errorf("at rest: %+v", s)
	}
}

func TestLedgerNamesAreThoseOfTheReport(t *testing.T) {
	for _, why := range DropReasons() {
		var l Ledger
		l.In(5)
		l.Drop(why, 2)
		s := l.Snapshot()
		text, err := json.Marshal(s)
		if err != nil {
			t.Fatal(err)
		}
		if want := `"` + why.String() + `":2`; !strings.Contains(string(text), want) {
			t.Errorf("%s lacks %s", text, want)
		}
		if s.Dropped.By(why) != 2 || s.InFlight != 3 {
			t.Errorf("%s: %+v", why, s)
		}
		if n := l.Settle(Aborted); n != 3 || l.Snapshot().InFlight != 0 {
			t.Errorf("%s: %d settled", why, n)
		}
	}
}
