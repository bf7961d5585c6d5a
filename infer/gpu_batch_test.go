//go:build gpu

package infer

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"
	"unsafe"

	"github.com/autovoiced/autovoiced/dsp"
)

// The kernel that copies rows does what plain copies do, bit for bit: all rows of a batch, in any order, of any length, and no other.
func TestGPU9RowCopies(t *testing.T) {
	needGPU(t, serving)
	for _, floats := range []int{1, 255, 1023, 1025, 43264} {
		for _, rows := range []int{1, 3, 256} {
			r, err := newRowCopies(rows, floats)
			if err != nil {
				t.Fatalf("%d rows of %d floats: %v", rows, floats, err)
			}
			check(t, sameAsPlain(r, rows))
			check(t, r.close())
		}
	}
}

// sameAsPlain copies so many rows there and other ones back, among others that are to stay.
func sameAsPlain(r *rowCopies, rows int) error {
	d, err := openDevice()
	if err != nil {
		return err
	}
	defer d.close() //nolint:errcheck // nothing is lost with it
	var blocks [3]*block
	for i := range blocks {
		if blocks[i], err = d.allocate(3*rows*r.floats, true); err != nil {
			return err
		}
	}
	from, by, plain := blocks[0], blocks[1], blocks[2]
	dsp.NewNoise(uint64(rows)).Normal(from.host)
	if err := d.upload(from, from.floats, nil); err != nil {
		return err
	}
	sources, places := rand.Perm(3*rows), rand.Perm(3*rows)
	var pairs []rowPair
	for i := range 2 * rows {
		source, place := unsafe.Add(from.at, 4*sources[i]*r.floats), 4*places[i]*r.floats
		r.pairs[i] = rowPair{source, unsafe.Add(by.at, place)}
		pairs = append(pairs, rowPair{source, unsafe.Add(plain.at, place)})
	}
	err = errors.Join(r.there(rows, d), r.back(rows, d), d.copyRows(pairs, r.floats), d.download(by, 0, by.floats), d.download(plain, 0, plain.floats))
	if err == nil && !slices.Equal(by.host, plain.host) {
		err = fmt.Errorf("%d rows of %d floats: otherwise than plain copies", rows, r.floats)
	}
	return err
}

// Sessions that share runs on TensorRT say what each says alone.
func TestGPU9Crowd(t *testing.T) {
	policy := onGPU(t, FP16)
	policy.Batch = DefaultBatching()
	e := loadGPU(t, voicePack, policy)
	check(t, e.PrepareBatches()) // which may mean to build
	const n, hops = 20, 60
	voices := crowd(t, e, n)
	signal := shiftedSpeech(hops)
	said, errs := speakAtOnce(t, voices, hops, signal)
	worst := -200.
	for who, v := range voices {
		check(t, errs[who])
		x, f0 := signal(who)
		worst = max(worst, decibelsApart(said[who], alone(t, e, v, x, f0)))
	}
	s := e.Batching()
	figure(t, "crowd_from_alone_db", worst)
	if worst > -40 { // fp16 engines of other sizes sum in another order
		t.Errorf("%.0f dB apart", worst)
	}
	together := uint64(0)
	for _, z := range s.Sizes[1:] {
		together += z.Rows
	}
	if together == 0 || s.OneByOne != "" {
		t.Errorf("%d hops ran together; %+v", together, s)
	}
}

// batchParts are of one run for so many sessions, in µs: medians.
type batchParts struct {
	Sessions int     `json:"sessions"`
	Collect  float64 `json:"collect_us"` // what is heard, on the host
	Enter    float64 `json:"enter_us"`   // states to their rows, what is heard to the GPU
	Run      float64 `json:"run_us"`
	Leave    float64 `json:"leave_us"` // states back, audio from the GPU
	Deal     float64 `json:"deal_us"`  // audio to the sessions, on the host
	Tell     float64 `json:"tell_us"`  // wake whoever waits
	Woken    float64 `json:"woken_us"` // until the last of them runs
	All      float64 `json:"all_us"`
	RunP99   float64 `json:"run_p99_us"`
	// With the states copied one by one.
	PlainEnter float64 `json:"plain_enter_us"`
	PlainLeave float64 `json:"plain_leave_us"`
}

// What each part of a run for several sessions takes.
func TestBenchGPUParts(t *testing.T) {
	policy := onGPU(t, FP16)
	policy.Batch = DefaultBatching()
	e := loadGPU(t, voicePack, policy)
	nets, _, err := e.batch.openNets()
	if err != nil {
		t.Fatal(err)
	}
	defer closeNets(nets) //nolint:errcheck // nothing is lost with it
	r, err := newGPUBatch(&e.contract, nets)
	if err != nil {
		t.Fatal(err)
	}
	defer r.close() //nolint:errcheck // nor with this
	if r.why != nil {
		t.Error("states are copied one by one: ", r.why)
	}
	seats := make([]*seat, 256)
	for i := range seats {
		v := open(t, e, e.contract.Voices[0].Name, SessionOptions{Seed: uint64(i)}).(*Voice)
		seats[i] = &seat{bound: v.bound, speaker: v.bound.in("speaker"), done: make(chan error, 1)}
	}
	var all []batchParts
	for _, n := range nets {
		for _, size := range n.rows {
			p, err := partsOf(r, size, seats[:size])
			check(t, err)
			all = append(all, p)
			figure(t, "batch_parts", all)
		}
	}
}

func partsOf(r *gpuBatch, size int, seats []*seat) (batchParts, error) {
	b := r.sized[size]
	var times [6][]time.Duration
	for range 200 {
		marks := [6]time.Time{0: time.Now()}
		r.collect(b, seats)
		marks[1] = time.Now()
		err := r.enter(b, size)
		marks[2] = time.Now()
		err = errors.Join(err, b.compute(b.single))
		marks[3] = time.Now()
		err = errors.Join(err, r.leave(b, size))
		marks[4] = time.Now()
		deal(b, size, seats)
		marks[5] = time.Now()
		if err != nil {
			return batchParts{}, err
		}
		for i := range 5 {
			times[i] = append(times[i], marks[i+1].Sub(marks[i]))
		}
		times[5] = append(times[5], marks[5].Sub(marks[0]))
	}
	for i := range times {
		slices.Sort(times[i])
	}
	us := func(part int, q float64) float64 { return 1000 * quantile(times[part], q) }
	p := batchParts{
		Sessions: size, Collect: us(0, 0.5), Enter: us(1, 0.5), Run: us(2, 0.5), Leave: us(3, 0.5), Deal: us(4, 0.5), All: us(5, 0.5), RunP99: us(2, 0.99),
	}
	p.Tell, p.Woken = telling(seats)
	var enter, leave []time.Duration
	kernel := r.rows
	r.rows = nil
	defer func() { r.rows = kernel }()
	for range 50 {
		r.collect(b, seats)
		began := time.Now()
		if err := r.enter(b, size); err != nil {
			return p, err
		}
		enter = append(enter, time.Since(began))
		began = time.Now()
		if err := r.leave(b, size); err != nil {
			return p, err
		}
		leave = append(leave, time.Since(began))
	}
	slices.Sort(enter)
	slices.Sort(leave)
	p.PlainEnter, p.PlainLeave = 1000*quantile(enter, 0.5), 1000*quantile(leave, 0.5)
	return p, nil
}

// telling wakes a goroutine for each seat, as a worker does.
func telling(seats []*seat) (told, woken float64) {
	var all, last []time.Duration
	for range 50 {
		awake := make(chan struct{}, len(seats))
		for _, s := range seats {
			go func() {
				<-s.done
				awake <- struct{}{}
			}()
		}
		time.Sleep(2 * time.Millisecond)
		began := time.Now()
		for _, s := range seats {
			s.done <- nil
		}
		all = append(all, time.Since(began))
		for range seats {
			<-awake
		}
		last = append(last, time.Since(began))
	}
	slices.Sort(all)
	slices.Sort(last)
	return 1000 * quantile(all, 0.5), 1000 * quantile(last, 0.5)
}
