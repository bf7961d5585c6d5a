package stream

import (
	"sync"
	"testing"
	"time"
)

func ramp(from, n int) []float32 {
	x := make([]float32, n)
	for i := range x {
		x[i] = float32(from + i)
	}
	return x
}

func TestRingKeepsTheNewestAndCountsTheLost(t *testing.T) {
	r := NewRing(1000, 10)
	r.Write(ramp(0, 4), 100*time.Millisecond)
	r.Write(ramp(4, 13), 104*time.Millisecond)
	if a := r.Account(); a != (RingAccount{Written: 17, Dropped: 7, Held: 10}) {
		t.Errorf("before the read: %+v", a)
	}
	dst := make([]float32, 4)
	n, lost, at, gap := r.Read(dst)
	if n != 4 || lost != 7 || dst[0] != 7 || dst[3] != 10 || at != 107*time.Millisecond || gap {
		t.Errorf("read %d frames %v, %d lost, captured at %v, gap %v", n, dst, lost, at, gap)
	}
	if a := r.Account(); a != (RingAccount{Written: 17, Read: 4, Dropped: 7, Held: 6}) {
		t.Errorf("after the read: %+v", a)
	}
	r.MarkGap()
	r.Write(ramp(17, 1), 0)
	if _, _, _, gap = r.Read(dst); gap {
		t.Error("gap told before it was reached")
	}
	if n, _, _, gap = r.Read(dst); n != 3 || !gap {
		t.Errorf("read %d, gap %v: the gap before frame 17 was not told", n, gap)
	}
	if r.Discard() != 0 || r.Len() != 0 {
		t.Error("the ring is not empty")
	}
}

func TestRingWakesItsReader(t *testing.T) {
	r := NewRing(1000, 10)
	wait := r.Wait(3)
	r.Write(ramp(0, 2), 0)
	select {
	case <-wait:
		t.Fatal("woken too early")
	default:
	}
	r.Write(ramp(2, 1), 0)
	<-wait
	<-r.Wait(3) // already there
	wait = r.Wait(8)
	r.Close()
	<-wait
}

// TestRingAccountsForEveryFrame lets a writer lap a reader while a third goroutine takes accounts.
func TestRingAccountsForEveryFrame(t *testing.T) {
	const total = 1 << 18
	r := NewRing(48000, 64)
	var all sync.WaitGroup
	stop := make(chan struct{})
	all.Go(func() {
		for at := 0; at < total; {
			n := min(1+at%97, total-at)
			r.Write(ramp(at, n), 0)
			at += n
		}
		r.Close()
	})
	all.Go(func() {
		var last RingAccount
		for {
			select {
			case <-stop:
				return
			default:
			}
			a := r.Account()
			if a.Written != a.Read+a.Dropped+a.Held || a.Held > 64 || a.Written < last.Written || a.Read < last.Read {
				t.Errorf("account %+v after %+v", a, last)
				return
			}
			last = a
		}
	})
	dst := make([]float32, 50)
	next, read, dropped := 0, 0, 0
	for {
		closed := r.Closed()
		n, lost, _, _ := r.Read(dst)
		next, read, dropped = next+int(lost), read+n, dropped+int(lost)
		for _, v := range dst[:n] {
			if int(v) != next {
				t.Fatalf("frame %v where %d was due", v, next)
			}
			next++
		}
		if closed && n == 0 {
			break
		}
	}
	close(stop)
	all.Wait()
	if read+dropped != total {
		t.Errorf("%d read + %d dropped, %d written", read, dropped, total)
	}
	if a := r.Account(); a != (RingAccount{Written: total, Read: uint64(read), Dropped: uint64(dropped)}) {
		t.Errorf("account %+v, read %d, dropped %d", a, read, dropped)
	}
	if dropped == 0 {
		t.Log("the writer never lapped the reader on this machine")
	}
}

func BenchmarkRing(b *testing.B) {
	r := NewRing(48000, 4800)
	x, y := noise(480), make([]float32, 480)
	b.ReportAllocs()
	for b.Loop() {
		r.Write(x, 0)
		r.Read(y)
	}
}
