package media

import (
	"math"
	"math/bits"

	"github.com/mewkiz/flac/frame"
)

const (
	flacOrder     = 10 // of linear prediction, at most
	flacPrecision = 14 // bits of a coefficient
	flacParts     = 6  // a block is coded in 2^6 parts at most, each with its own parameter
)

// flacPlan is a way to write the samples of one channel, and how many bits it takes.
type flacPlan struct {
	header frame.SubHeader
	bits   int
}

// flacPlanner finds the way that takes the fewest, as libFLAC does: a constant, linear prediction with
// coefficients of its own or with the fixed ones, or the samples as they are.
type flacPlanner struct {
	window    []float64
	windowed  []float64
	residuals []int32
	sums      [1 << flacParts]uint64
}

func (p *flacPlanner) plan(x []int32, depth int) flacPlan {
	best := flacPlan{frame.SubHeader{Pred: frame.PredVerbatim}, len(x) * depth}
	if constant(x) {
		return flacPlan{frame.SubHeader{Pred: frame.PredConstant}, depth}
	}
	p.try(&best, x, depth, fixedHeader(x))
	if h, ok := p.linear(x, depth); ok {
		p.try(&best, x, depth, h)
	}
	return best
}

// try computes what a prediction leaves over and takes it for the best if that is smaller.
func (p *flacPlanner) try(best *flacPlan, x []int32, depth int, h frame.SubHeader) {
	if len(x) <= h.Order {
		return
	}
	coefficients := h.Coeffs
	if h.Pred == frame.PredFixed {
		coefficients = frame.FixedCoeffs[h.Order]
	}
	p.residuals = p.residuals[:0]
	for i := h.Order; i < len(x); i++ {
		var sum int64
		for j, c := range coefficients {
			sum += int64(c) * int64(x[i-j-1])
		}
		sum >>= uint(h.CoeffShift)
		d := int64(x[i]) - sum
		if int64(int32(sum)) != sum || d <= math.MinInt32/2 || d >= math.MaxInt32/2 {
			return
		}
		p.residuals = append(p.residuals, int32(d))
	}
	n := h.Order * depth
	if h.Pred == frame.PredFIR {
		n += 9 + h.Order*int(h.CoeffPrec)
	}
	var rice int
	h.RiceSubframe, h.ResidualCodingMethod, rice = p.rice(len(x), h.Order)
	if n += rice; n < best.bits {
		*best = flacPlan{h, n}
	}
}

func constant(x []int32) bool {
	for _, v := range x {
		if v != x[0] {
			return false
		}
	}
	return true
}

// fixedHeader takes the fixed predictor that leaves the least over.
func fixedHeader(x []int32) frame.SubHeader {
	var left [5]uint64
	for i := 4; i < len(x); i++ {
		d := int64(x[i])
		before := [4]int64{int64(x[i-1]), int64(x[i-2]), int64(x[i-3]), int64(x[i-4])}
		left[0] += magnitude(d)
		left[1] += magnitude(d - before[0])
		left[2] += magnitude(d - 2*before[0] + before[1])
		left[3] += magnitude(d - 3*before[0] + 3*before[1] - before[2])
		left[4] += magnitude(d - 4*before[0] + 6*before[1] - 4*before[2] + before[3])
	}
	order := 0
	for o, l := range left {
		if l < left[order] {
			order = o
		}
	}
	return frame.SubHeader{Pred: frame.PredFixed, Order: order}
}

func magnitude(d int64) uint64 { return uint64(max(d, -d)) }

// linear finds coefficients by autocorrelation and Levinson's and Durbin's recursion, and the order by how
// many bits its error promises.
func (p *flacPlanner) linear(x []int32, depth int) (frame.SubHeader, bool) {
	if len(x) < 8*flacOrder {
		return frame.SubHeader{}, false
	}
	r := p.autocorrelation(x)
	if r[0] == 0 {
		return frame.SubHeader{}, false
	}
	var a, best [flacOrder]float64
	order, least, left := 0, math.Inf(1), r[0]
	for o := 1; o <= flacOrder; o++ {
		k := r[o]
		for j := 1; j < o; j++ {
			k -= a[j-1] * r[o-j]
		}
		k /= left
		before := a
		a[o-1] = k
		for j := 1; j < o; j++ {
			a[j-1] = before[j-1] - k*before[o-j-1]
		}
		if left *= 1 - k*k; left <= 0 || math.IsNaN(left) {
			break
		}
		sample := max(0, 0.5*math.Log2(left/float64(len(x))*0.5))
		if n := sample*float64(len(x)-o) + float64(o*(depth+flacPrecision)); n < least {
			order, least, best = o, n, a
		}
	}
	return quantized(best[:order])
}

// autocorrelation looks at x through a window of Tukey's, half of it flat.
func (p *flacPlanner) autocorrelation(x []int32) (r [flacOrder + 1]float64) {
	n := len(x)
	if len(p.window) != n {
		p.window, p.windowed = make([]float64, n), make([]float64, n)
		for i := range p.window {
			edge := 4 * float64(min(i, n-1-i)) / float64(n-1)
			p.window[i] = 0.5 - 0.5*math.Cos(math.Pi*min(1, edge))
		}
	}
	for i, v := range x {
		p.windowed[i] = float64(v) * p.window[i]
	}
	for lag := range r {
		var sum float64
		for i, v := range p.windowed[lag:] {
			sum += v * p.windowed[i]
		}
		r[lag] = sum
	}
	return r
}

// quantized rounds the coefficients, handing each one's error on to the next.
func quantized(a []float64) (frame.SubHeader, bool) {
	var most float64
	for _, c := range a {
		most = max(most, math.Abs(c))
	}
	if len(a) == 0 || most == 0 {
		return frame.SubHeader{}, false
	}
	_, exponent := math.Frexp(most)
	shift := min(flacPrecision-1-exponent, 15)
	if shift < 0 {
		return frame.SubHeader{}, false
	}
	h := frame.SubHeader{Pred: frame.PredFIR, Order: len(a), CoeffPrec: flacPrecision, CoeffShift: int32(shift)}
	const limit = 1<<(flacPrecision-1) - 1
	var owed float64
	for _, c := range a {
		owed += math.Ldexp(c, shift)
		q := min(limit, max(-limit-1, math.RoundToEven(owed)))
		owed -= q
		h.Coeffs = append(h.Coeffs, int32(q))
	}
	return h, true
}

// rice finds into how many parts to cut the residuals of a block of n samples, and how to code each.
func (p *flacPlanner) rice(n, order int) (*frame.RiceSubframe, frame.ResidualCodingMethod, int) {
	finest := min(flacParts, bits.TrailingZeros(uint(n)))
	for finest > 0 && n>>finest <= order {
		finest--
	}
	size := n >> finest
	sums := p.sums[:1<<finest]
	clear(sums)
	for i, d := range p.residuals {
		sums[(i+order)/size] += uint64(uint32(d<<1) ^ uint32(d>>31)) // folded: 0, -1, 1, -2 become 0, 1, 2, 3
	}
	least := math.MaxInt
	var best *frame.RiceSubframe
	method := frame.ResidualCodingMethodRice1
	for parts := finest; parts >= 0; parts-- {
		sub := &frame.RiceSubframe{PartOrder: parts}
		total, wide := 0, false
		for i, sum := range sums[:1<<parts] {
			count := n >> parts
			if i == 0 {
				count -= order
			}
			k, length := riceParameter(sum, count)
			sub.Partitions = append(sub.Partitions, frame.RicePartition{Param: k})
			total += length
			wide = wide || k > 14
		}
		width := 4
		if wide {
			width = 5
		}
		if total += 6 + width<<parts; total < least {
			least, best, method = total, sub, frame.ResidualCodingMethodRice1
			if wide {
				method = frame.ResidualCodingMethodRice2
			}
		}
		for i := range sums[:1<<parts/2] {
			sums[i] = sums[2*i] + sums[2*i+1]
		}
	}
	return best, method, least
}

// riceParameter is how many low bits of count numbers to write as they are, where the numbers' sum is
// given, and how many bits that takes, nearly.
func riceParameter(sum uint64, count int) (k uint, length int) {
	length = math.MaxInt
	guess := 0
	if count > 0 && sum > uint64(count) {
		guess = bits.Len64(sum/uint64(count)) - 1
	}
	for try := max(0, guess-1); try <= min(30, guess+1); try++ {
		high := int(sum >> try)
		if try > 0 {
			high -= count / 2
		}
		if l := count*(try+1) + max(0, high); l < length {
			k, length = uint(try), l
		}
	}
	return k, length
}
