package infer

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

const tinyBatch = models + "/tiny-voice/tiny-batch.onnx"

// crowd is live sessions of one engine, with its batcher open and so busy that everything queues.
func crowd(t testing.TB, e *Engine, n int) []*Voice {
	t.Helper()
	var all []*Voice
	names := e.contract.VoiceNames()
	for i := range n {
		o := SessionOptions{Live: true, Seed: uint64(i), Shift: Shift{Semitones: float64(i%5) - 2}}
		v, ok := open(t, e, names[i%len(names)], o).(*Voice)
		if !ok {
			t.Fatal("no voice")
		}
		all = append(all, v)
	}
	await(t, e.batch.shared.Load)
	e.batch.mu.Lock()
	e.batch.crowdedAnyway = true
	e.batch.mu.Unlock()
	return all
}

// await is patient: the machine may be busy.
func await(t testing.TB, what func() bool) {
	t.Helper()
	for began := time.Now(); !what(); time.Sleep(time.Millisecond) {
		if time.Since(began) > 30*time.Second {
			t.Fatal("nothing came of it for 30 s")
		}
	}
}

// speakAtOnce converts a signal of each session, all hop by hop at the same time, and gives what each said.
func speakAtOnce(t testing.TB, voices []*Voice, hops int, signal func(who int) (x, f0 []float32)) ([][]float32, []error) {
	t.Helper()
	said, errs := make([][]float32, len(voices)), make([]error, len(voices))
	var all sync.WaitGroup
	for who, v := range voices {
		x, f0 := signal(who)
		out := make([]float32, hops*v.engine.contract.HopOut)
		said[who] = out
		all.Go(func() {
			in, each := v.engine.contract.HopIn, v.engine.contract.HopOut
			for h := range hops {
				if err := v.Convert(out[h*each:(h+1)*each], x[h*in:(h+1)*in], f0[h:h+1]); err != nil {
					errs[who] = err
					return
				}
			}
		})
	}
	all.Wait()
	return said, errs
}

// alone says the same with a session of its own.
func alone(t testing.TB, e *Engine, like *Voice, x, f0 []float32) []float32 {
	t.Helper()
	c := open(t, e, like.VoiceName(), SessionOptions{Seed: like.seed, Shift: Shift{Semitones: like.Shift()}})
	out := make([]float32, len(f0)*e.contract.HopOut)
	if err := c.Convert(out, x, f0); err != nil {
		t.Fatal(err)
	}
	return out
}

// shiftedSpeech is somebody else's for each.
func shiftedSpeech(hops int) func(who int) (x, f0 []float32) {
	samples, pitch := speech(hops + 64)
	return func(who int) (x, f0 []float32) {
		return samples[(who%64)*160:][:hops*160], pitch[who%64:][:hops]
	}
}

func decibelsApart(got, want []float32) float64 {
	var apart, loud float64
	for i, w := range want {
		apart += math.Pow(float64(got[i])-float64(w), 2)
		loud += float64(w) * float64(w)
	}
	return 10 * math.Log10((apart+1e-30)/(loud+1e-20))
}

// What a session says with others is what it says alone, whoever they are.
func TestTogetherAsAlone(t *testing.T) {
	e := load(t, tinyBatch)
	const n, hops = 11, 60
	voices := crowd(t, e, n)
	signal := shiftedSpeech(hops)
	said, errs := speakAtOnce(t, voices, hops, signal)
	for who, v := range voices {
		check(t, errs[who])
		x, f0 := signal(who)
		if db := decibelsApart(said[who], alone(t, e, v, x, f0)); !(db < -100) {
			t.Errorf("session %d is %.0f dB apart from itself alone", who, db)
		}
	}
	s := e.Batching()
	var together uint64
	for _, z := range s.Sizes[1:] {
		together += z.Rows
	}
	if together == 0 || s.Hops < n*hops || s.Sessions != n || s.Separate != "" || s.Waiting != 0 {
		t.Errorf("%d hops were run together: %+v", together, s)
	}
}

// The same of the voice that ships, on speech.
func TestBundledTogetherAsAlone(t *testing.T) {
	needRuntime(t)
	e, err := registry(t, "").Engine("alma")
	if err != nil {
		t.Fatal(err)
	}
	const n, hops = 5, 60
	voices := crowd(t, e, n)
	x := someone(t, 2)
	f0 := make([]float32, 200)
	for i := range f0 {
		if i%40 < 30 {
			f0[i] = 140 + 30*float32(math.Sin(float64(i)/9))
		}
	}
	signal := func(who int) ([]float32, []float32) { return x[who*20*160:][:hops*160], f0[who*20:][:hops] }
	said, errs := speakAtOnce(t, voices, hops, signal)
	for who, v := range voices {
		check(t, errs[who])
		x, f0 := signal(who)
		want := alone(t, e, v, x, f0)
		if levelDB(want) < -60 {
			t.Errorf("session %d says nothing: the comparison is empty", who)
		}
		db := decibelsApart(said[who], want)
		t.Logf("session %d: %.0f dB apart", who, db)
		if !(db < -100) {
			t.Errorf("session %d is %.0f dB apart from itself alone", who, db)
		}
	}
}

// One whose hop makes the common run fail, or gives no number, is the only one that hears of it.
func TestTheOthersHearNothingOfAFailure(t *testing.T) {
	const n, hops, bad = 6, 40, 2
	for name, fails := range map[string]bool{"fails-in-batch": true, "nan-in-batch": false} {
		t.Run(name, func(t *testing.T) {
			e := load(t, broken(name))
			voices := crowd(t, e, n)
			signal := shiftedSpeech(hops)
			poisoned := func(who int) (x, f0 []float32) {
				x, f0 = signal(who)
				if who == bad {
					f0 = slices.Clone(f0)
					f0[hops/2] = 2000 // above what the network takes
					voices[bad].SetShift(Shift{})
				}
				return x, f0
			}
			said, errs := speakAtOnce(t, voices, hops, poisoned)
			for who, v := range voices {
				if who == bad {
					if (errs[who] != nil) != fails || !fails && v.Faults().Output == 0 {
						t.Errorf("who was at fault: error %v, %+v", errs[who], v.Faults())
					}
					continue
				}
				check(t, errs[who])
				x, f0 := signal(who)
				if db := decibelsApart(said[who], alone(t, e, v, x, f0)); !(db < -100) {
					t.Errorf("session %d is %.0f dB apart from itself alone", who, db)
				}
			}
		})
	}
}

// Sessions that come and go in the middle harm nobody, and leave no goroutine behind.
func TestComingAndGoing(t *testing.T) {
	e := load(t, tinyBatch)
	const hops = 200
	voices := crowd(t, e, 3)
	over := make(chan struct{})
	var visitors sync.WaitGroup
	for range 3 {
		visitors.Go(func() {
			x, f0 := speech(4)
			out := make([]float32, 4*240)
			for {
				select {
				case <-over:
					return
				default:
				}
				c, err := e.NewSession("tiny-high", SessionOptions{Live: true})
				if err != nil {
					t.Error(err)
					return
				}
				if err := c.Convert(out, x, f0); err != nil {
					t.Error(err)
				}
				if err := c.Close(); err != nil {
					t.Error(err)
				}
			}
		})
	}
	signal := shiftedSpeech(hops)
	said, errs := speakAtOnce(t, voices, hops, signal)
	close(over)
	visitors.Wait()
	for who, v := range voices {
		check(t, errs[who])
		x, f0 := signal(who)
		if db := decibelsApart(said[who], alone(t, e, v, x, f0)); !(db < -100) {
			t.Errorf("session %d is %.0f dB apart from itself alone", who, db)
		}
	}
}

// A session that is alone runs by itself at once; so do those that may not share.
func TestAloneRunsByItself(t *testing.T) {
	e := load(t, tinyBatch)
	c := open(t, e, "tiny-low", SessionOptions{Live: true})
	x, f0 := speech(50)
	convert(t, c, x, f0, 1)
	s := e.Batching()
	if s.Sizes[0].Runs < 50 || len(s.Sizes) != 1 {
		t.Errorf("one session: %+v", s)
	}
	policy := DefaultPolicy()
	policy.Batch.Sessions = 1
	for file, why := range map[string]string{tinyBatch: "infer.batch is 1", tinyVoice: "no graph for many"} {
		e, err := Load(file, policy)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { check(t, e.Close()) })
		open(t, e, "tiny-low", SessionOptions{Live: true})
		convert(t, open(t, e, "tiny-low", SessionOptions{Live: true}), x, f0, 1)
		if s := e.Batching(); len(s.Sizes) != 1 || s.Separate == "" || s.Sessions != 2 {
			t.Errorf("%s: %+v, expected separate runs because of %s", file, s, why)
		}
	}
}

// The one whose deadline comes first is served first; nobody waits for ever.
func TestOldestDeadlineFirst(t *testing.T) {
	b := newBatcher(&Contract{Batch: true}, DefaultPolicy(), 1, network{}, time.Millisecond, nil)
	now := time.Now()
	for _, ms := range []int{30, 10, 20, 10} {
		b.enqueue(&seat{due: now.Add(time.Duration(ms) * time.Millisecond)})
	}
	var order []int
	for _, s := range b.queue {
		order = append(order, int(s.due.Sub(now).Milliseconds()))
	}
	if !slices.Equal(order, []int{10, 10, 20, 30}) {
		t.Errorf("served in the order %v", order)
	}
}

// The size that costs each of those who wait least is taken, of the share of the places that are free.
func TestChoose(t *testing.T) {
	ms := func(x float64) time.Duration { return time.Duration(x * float64(time.Millisecond)) }
	gpu := []BatchSize{{Sessions: 1, Least: ms(0.3)}, {Sessions: 4, Least: ms(0.32)}, {Sessions: 16, Least: ms(0.4)}, {Sessions: 64, Least: ms(0.9)}}
	cpu := []BatchSize{{Sessions: 1, Least: ms(1.6)}, {Sessions: 2, Least: ms(2)}, {Sessions: 3, Least: ms(2.4)}, {Sessions: 4, Least: ms(2.9)}}
	for _, c := range []struct {
		sizes             []BatchSize
		waiting, parallel int
		size, served      int
	}{
		{gpu, 1, 1, 1, 1},
		{gpu, 3, 1, 4, 3},
		{gpu, 7, 1, 16, 7},
		{gpu, 30, 1, 16, 16},
		{gpu, 40, 1, 64, 40},
		{gpu, 500, 1, 64, 64},
		{cpu, 2, 2, 1, 1},
		{cpu, 4, 2, 2, 2},
		{cpu, 9, 1, 4, 4},
		{cpu, 9, 4, 3, 3},
	} {
		t.Run(fmt.Sprint(c.waiting, " on ", c.parallel), func(t *testing.T) {
			b := newBatcher(&Contract{Batch: true}, DefaultPolicy(), c.parallel, network{}, 0, nil)
			b.sizes = c.sizes
			for range c.waiting {
				b.enqueue(&seat{})
			}
			if size, n := b.choose(); size != c.size || n != c.served {
				t.Errorf("%d of a run for %d, expected %d of %d", n, size, c.served, c.size)
			}
		})
	}
}

// What runs cost says how many sessions there is room for.
func TestForecast(t *testing.T) {
	b := newBatcher(&Contract{Batch: true}, DefaultPolicy(), 2, network{}, 2*time.Millisecond, nil)
	if f := b.forecast(5); math.Abs(f.Load-0.5) > 1e-9 || f.Hop != 4*time.Millisecond {
		t.Errorf("five sessions of 2 ms on two places: %+v", f)
	}
	b.sizes = append(b.sizes, BatchSize{Sessions: 4, Least: 4 * time.Millisecond})
	if f := b.forecast(12); math.Abs(f.Load-0.6) > 1e-9 || f.Hop != 10*time.Millisecond {
		t.Errorf("twelve sessions of 4 ms for four: %+v", f)
	}
	if f := b.forecast(40); math.Abs(f.Load-2) > 1e-9 {
		t.Errorf("forty sessions of 4 ms for four: %+v", f)
	}
	now := time.Now()
	for i := range 200 {
		b.late.add(now, float64(i%2))
	}
	if f := b.forecast(1); math.Abs(f.Late-0.5) > 0.01 {
		t.Errorf("every other hop is late: %+v", f)
	}
}

// A run with others allocates nothing, wherever its tensors are.
func TestTogetherAllocatesNothing(t *testing.T) {
	t.Run("host", togetherAllocatesNothing)
	t.Run("gpu", func(t *testing.T) {
		onHostCUDA(t)
		togetherAllocatesNothing(t)
	})
}

func togetherAllocatesNothing(t *testing.T) {
	e := load(t, tinyBatch)
	voices := crowd(t, e, 4)
	x, f0 := speech(64)
	outs := make([][]float32, len(voices))
	start, done := make(chan int), make(chan error)
	for who, v := range voices {
		outs[who] = make([]float32, 240)
		go func() {
			for h := range start {
				done <- v.Convert(outs[who], x[h*160:(h+1)*160], f0[h:h+1])
			}
		}()
	}
	defer close(start)
	h := 0
	all := func() {
		for range voices {
			start <- h % 64
		}
		for range voices {
			check(t, <-done)
		}
		h++
	}
	for range 50 {
		all()
	}
	if n := testing.AllocsPerRun(200, all); n > 0 {
		t.Errorf("%g allocations for a hop of four", n)
	}
}

// While sessions are silent the network runs for nobody, once a tick, and not while they speak or when there are none.
func TestKeepWarm(t *testing.T) {
	e := load(t, tinyBatch)
	b := e.batch
	w := &warmer{b: b, every: 100 * time.Millisecond}
	var err error
	if w.bound, err = newBinding(b.contract, []network{b.warmNet}); err != nil {
		t.Fatal(err)
	}
	defer w.bound.close() //nolint:errcheck // not what is tested
	now := time.Now()
	w.touch(now)
	if n := b.stats().Warmups; n != 0 {
		t.Errorf("%d ticks for nobody at all", n)
	}
	c := open(t, e, "tiny-low", SessionOptions{Live: true})
	x, f0 := speech(4)
	before := convert(t, c, x, f0, 1)
	w.touch(b.lastRun.Add(50 * time.Millisecond))
	if n := b.stats().Warmups; n != 0 {
		t.Errorf("%d ticks 50 ms after a hop", n)
	}
	for range 3 {
		w.touch(b.lastRun.Add(150 * time.Millisecond))
	}
	if n := b.stats().Warmups; n != 3 {
		t.Errorf("%d ticks in three silences", n)
	}
	c.Reset()
	if !same(before, convert(t, c, x, f0, 1)) {
		t.Error("the session heard of it")
	}
	for provider, keeps := range map[string]bool{ProviderCPU: false, ProviderTensorRT: true, ProviderCUDA: true} {
		b := newBatcher(&Contract{}, Policy{Provider: provider, Batch: DefaultBatching()}, 1, network{}, 0, nil)
		if b.keepsWarm() != keeps {
			t.Errorf("%s is kept warm: %v", provider, !keeps)
		}
	}
}

// The same with every tensor in a GPU's memory, where the states stay: copied by a kernel, or one by one where there is none that does
// it right. Also of who makes the common run fail.
func TestTogetherInTheGPUsMemory(t *testing.T) {
	const n, hops = 7, 40
	signal := shiftedSpeech(hops)
	reference := load(t, tinyBatch)
	for name, c := range map[string]struct {
		prepare  func(deviceCounters)
		oneByOne string
	}{
		"kernel":         {func(deviceCounters) {}, ""},
		"no kernel":      {func(c deviceCounters) { *c.noKernel = 1 }, "does not load a kernel: CUDA error 218"},
		"a wrong kernel": {func(c deviceCounters) { *c.wrongKernel = 1 }, "does otherwise than plain copies"},
	} {
		t.Run(name, func(t *testing.T) {
			counters := onHostCUDA(t)
			c.prepare(counters)
			e := load(t, tinyBatch)
			voices := crowd(t, e, n)
			*counters.launches = 0
			said, errs := speakAtOnce(t, voices, hops, signal)
			for who, v := range voices {
				check(t, errs[who])
				x, f0 := signal(who)
				if db := decibelsApart(said[who], alone(t, reference, v, x, f0)); !(db < -100) {
					t.Errorf("session %d is %.0f dB apart from itself alone", who, db)
				}
			}
			s := e.Batching()
			var runs, together uint64
			for _, z := range s.Sizes[1:] {
				runs, together = runs+z.Runs, together+z.Rows
			}
			if together == 0 {
				t.Fatalf("none of %d hops ran together", n*hops)
			}
			if s.OneByOne == "" != (c.oneByOne == "") || !strings.Contains(s.OneByOne, c.oneByOne) {
				t.Errorf("states are copied one by one because of %q, expected %q", s.OneByOne, c.oneByOne)
			}
			if launches := uint64(*counters.launches); c.oneByOne == "" && launches != 2*runs || c.oneByOne != "" && launches != 0 {
				t.Errorf("%d launches in %d runs, expected one there and one back", launches, runs)
			}
			*counters.fail = 719
			_, errs = speakAtOnce(t, voices, 1, signal)
			*counters.fail = 0
			for who, err := range errs {
				if !errors.Is(err, ErrGPULost) {
					t.Errorf("session %d: %v, expected that the GPU is lost", who, err)
				}
			}
		})
	}
}

// A graph for a fixed number of sessions is the open one with that number of rows, and gives the same.
func TestBatchOfAFixedSize(t *testing.T) {
	needRuntime(t)
	for _, file := range []string{tinyBatch, voicesFirst} {
		model := read(t, file)
		c, err := ReadContractBytes(file, model)
		check(t, err)
		fixed, err := batchOf(model, 4)
		check(t, err)
		s, err := readSignature(fixed)
		check(t, err)
		check(t, checkTensors("input", c.of(4).inputs(1), s.inputs))
		check(t, checkTensors("output", c.of(4).outputs(1), s.outputs))
		net, err := openNet(c.of(4), fixed, DefaultPolicy(), "")
		check(t, err)
		if _, err := warmUp(c.of(4), network{1, net}, DefaultPolicy()); err != nil {
			t.Error(err)
		}
		check(t, net.Destroy())
	}
}

const voicesFirst = "voices/first.onnx"
