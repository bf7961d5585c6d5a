package song

import "math"

// What a match listens to: loudness as one hears it in a phrase, not in a syllable.
const (
	matchReach   = 30                // hops of 10 ms to either side
	matchFloor   = 1e-6              // mean square below which both are silence, -60 dBFS
	matchMost    = 3.981071705534972 // 12 dB
	matchWindows = 2*matchReach + 1
)

// matcher finds the gains that make the converted voice as loud as the vocals were, in each channel of the song: so it is
// where they were between left and right, too, and follows when they move.
type matcher struct {
	hop     int
	at      int // the next hop to be mixed
	known   int // hops whose powers are known
	weights [matchWindows]float64
	voice   [matchWindows]float64   // power, by hop
	lead    [][matchWindows]float64 // for each channel
	gains   []float32               // at the end of the last hop
}

func newMatcher(channels, hop int) *matcher {
	m := &matcher{hop: hop, lead: make([][matchWindows]float64, channels), gains: make([]float32, channels)}
	for i := range m.weights {
		m.weights[i] = 0.5 + 0.5*math.Cos(math.Pi*float64(i-matchReach)/(matchReach+1))
	}
	return m
}

// ahead is how many frames beyond a hop its gains depend on.
func (m *matcher) ahead() int { return matchReach * m.hop }

// next is where each channel's gain is to go within the next hop; both signals begin with that hop and hold ahead frames
// more. What it returns is m.gains before, and valid until the next call.
func (m *matcher) next(to []float32, lead []queue, voice *queue) {
	for ; m.known <= m.at+matchReach; m.known++ {
		from, i := (m.known-m.at)*m.hop, m.known%matchWindows
		m.voice[i] = power(voice.peek(from + m.hop)[from:])
		for c := range lead {
			m.lead[c][i] = power(lead[c].peek(from + m.hop)[from:])
		}
	}
	sung := m.around(&m.voice)
	for c := range to {
		to[c] = float32(min(matchMost, math.Sqrt((m.around(&m.lead[c])+matchFloor)/(sung+matchFloor))))
	}
	if m.at == 0 {
		copy(m.gains, to)
	}
	m.at++
}

// around is the mean power about the next hop.
func (m *matcher) around(powers *[matchWindows]float64) float64 {
	var sum, weight float64
	for i, w := range m.weights {
		if hop := m.at + i - matchReach; hop >= 0 {
			sum += w * powers[hop%matchWindows]
			weight += w
		}
	}
	return sum / weight
}

func power(x []float32) float64 {
	var sum float64
	for _, v := range x {
		sum += float64(v) * float64(v)
	}
	return sum / float64(len(x))
}
