package dash

import (
	"time"

	"github.com/autovoiced/autovoiced/client/wire"
)

// trends keep, for each second of the last minutes and each row of each session, the longest time seen.
type trends struct {
	rows map[trendKey]*trend
}

type trendKey struct{ session, row string }

type trend struct {
	values []float64 // µs, one a second, the newest last
	second int64     // of the newest
}

const keepTrend = 256 // seconds: more than a terminal is wide

func newTrends() *trends { return &trends{map[trendKey]*trend{}} }

// take notes a status, and forgets sessions that have ended.
func (t *trends) take(s *wire.Status, now time.Time) {
	running := map[string]bool{}
	for i := range s.Sessions {
		one := &s.Sessions[i]
		running[one.ID] = true
		for _, row := range stageRows(one) {
			t.note(trendKey{one.ID, row.name}, row.times.Last, now.Unix())
		}
	}
	for key := range t.rows {
		if !running[key.session] {
			delete(t.rows, key)
		}
	}
}

func (t *trends) note(key trendKey, v float64, second int64) {
	row := t.rows[key]
	if row == nil {
		row = &trend{second: second - 1}
		t.rows[key] = row
	}
	for ; row.second < second; row.second++ {
		if second-row.second > keepTrend {
			row.values, row.second = nil, second-keepTrend
		}
		row.values = append(row.values, 0)
	}
	newest := &row.values[len(row.values)-1]
	*newest = max(*newest, v)
	row.values = row.values[max(0, len(row.values)-keepTrend):]
}

// of gives the last n seconds of a row, fewer where there are not as many.
func (t *trends) of(session, row string, n int) []float64 {
	r := t.rows[trendKey{session, row}]
	if r == nil {
		return nil
	}
	return r.values[max(0, len(r.values)-n):]
}
