package daemon

import (
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus/testutil/promlint"
	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"

	"github.com/autovoiced/autovoiced/client/wire"
	"github.com/autovoiced/autovoiced/stream"
)

// scrape reads the metrics as Prometheus does.
func scrape(t *testing.T, d *testDaemon) map[string]*dto.MetricFamily {
	t.Helper()
	code, body := get(t, d, "/metrics")
	if code != 200 {
		t.Fatalf("%d %s", code, body)
	}
	parser := expfmt.NewTextParser(model.UTF8Validation)
	families, err := parser.TextToMetricFamilies(strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	return families
}

// find gives the one sample that has the labels, written name=value.
func find(t *testing.T, families map[string]*dto.MetricFamily, name string, labels ...string) *dto.Metric {
	t.Helper()
	for _, m := range families[name].GetMetric() {
		n := 0
		for _, l := range m.GetLabel() {
			for _, want := range labels {
				if l.GetName()+"="+l.GetValue() == want {
					n++
				}
			}
		}
		if n == len(labels) {
			return m
		}
	}
	t.Errorf("no %s%v", name, labels)
	return &dto.Metric{}
}

// TestMetricsAreClean holds every name, unit, type and help to what Prometheus' own linter asks.
func TestMetricsAreClean(t *testing.T) {
	d := serve(t, func(c *Config) { c.Voice.Name = tinyVoice })
	speaking(t, d, 1600)
	_, body := get(t, d, "/metrics")
	problems, err := promlint.New(strings.NewReader(body)).Lint()
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range problems {
		t.Errorf("%s: %s", p.Metric, p.Text)
	}
	families := scrape(t, d)
	for _, f := range newMetrics(d.Daemon).families {
		switch got, ok := families[f.name]; {
		case !ok && f.name != "autovoiced_notices_total": // none were told
			t.Errorf("%s has no sample", f.name)
		case ok && (got.GetType() == dto.MetricType_HISTOGRAM) != (f.spread != nil):
			t.Errorf("%s is a %v", f.name, got.GetType())
		}
	}
}

// TestMetricsOutliveSessions: what a session did stays counted when it has ended, and is counted once.
func TestMetricsOutliveSessions(t *testing.T) {
	d := serve(t, func(c *Config) { c.Voice.Name = tinyVoice })
	first := speaking(t, d, 16000)
	check := func(chunks uint64, sessions float64) {
		t.Helper()
		all := scrape(t, d)
		h := find(t, all, "autovoiced_stage_compute_seconds", "kind=stream", "stage="+stream.StageConversion).GetHistogram()
		if h.GetSampleCount() != chunks || h.GetSampleSum() <= 0 {
			t.Errorf("%d chunks of %v s in the histogram, want %d", h.GetSampleCount(), h.GetSampleSum(), chunks)
		}
		before := uint64(0)
		for _, b := range h.GetBucket() {
			if b.GetCumulativeCount() < before || b.GetCumulativeCount() > chunks {
				t.Errorf("%d within %v s after %d", b.GetCumulativeCount(), b.GetUpperBound(), before)
			}
			before = b.GetCumulativeCount()
		}
		for name, want := range map[string]float64{
			"autovoiced_chunks_total": float64(chunks), "autovoiced_audio_seconds_total": float64(chunks) / 100,
		} {
			if got := find(t, all, name, "kind=stream").GetCounter().GetValue(); got < want-1e-9 || got > want+1e-9 {
				t.Errorf("%s %v, want %v", name, got, want)
			}
		}
		if got := find(t, all, "autovoiced_frames_out_total").GetCounter().GetValue(); got != float64(chunks)*160 {
			t.Errorf("%v frames out, want %v", got, chunks*160)
		}
		if got := find(t, all, "autovoiced_sessions", "kind=stream").GetGauge().GetValue(); got != sessions {
			t.Errorf("%v sessions, want %v", got, sessions)
		}
	}
	check(100, 1)
	if err := first.Close(); err != nil {
		t.Error(err)
	}
	eventually(t, "the first has ended", func() bool { return d.Status().Totals.SessionsActive == 0 })
	check(100, 0)
	speaking(t, d, 8000)
	check(150, 1)
	if got := find(t, scrape(t, d), "autovoiced_frames_dropped_total", "reason=catch_up").GetCounter().GetValue(); got != 0 {
		t.Errorf("%v frames dropped, want a 0 that can be seen", got)
	}
}

// TestMetricsOfSongs: a song that is done stays counted when it is forgotten, and one that is taken back is counted as such.
func TestMetricsOfSongs(t *testing.T) {
	d, _ := jobsDaemon(t)
	done := post(t, d, `{"voice":"tiny-low","preset":"fast"}`, "song.wav", wavBytes(t, 22050, 1))
	followJob(t, d, done.ID)
	forget := func(id string) {
		t.Helper()
		if !d.jobs.forget(id) {
			t.Errorf("no job %s", id)
		}
	}
	forget(done.ID)
	forget(post(t, d, `{"voice":"tiny-low","preset":"fast"}`, "song.wav", wavBytes(t, 22050, 60)).ID)
	all := scrape(t, d)
	for state, want := range map[string]float64{"done": 1, "cancelled": 1, "failed": 0} {
		if got := find(t, all, "autovoiced_jobs_ended_total", "state="+state).GetCounter().GetValue(); got != want {
			t.Errorf("%v %s, want %v", got, state, want)
		}
		if got := find(t, all, "autovoiced_jobs", "state="+state).GetGauge().GetValue(); got != 0 {
			t.Errorf("%v %s are kept, want none", got, state)
		}
	}
	if got := find(t, all, "autovoiced_job_audio_seconds_total").GetCounter().GetValue(); got < 0.99 || got > 1.01 {
		t.Errorf("%v s of songs done, want 1", got)
	}
	// One song waited and was done; the other one may have been taken up before it was taken back.
	if n := find(t, all, "autovoiced_job_wait_seconds").GetHistogram().GetSampleCount(); n < 1 || n > 2 {
		t.Errorf("%d songs have waited, want 1 or 2", n)
	}
	took := find(t, all, "autovoiced_job_seconds").GetHistogram()
	if took.GetSampleCount() != 1 || took.GetSampleSum() <= 0 {
		t.Errorf("%d songs took %v s, want one that took some", took.GetSampleCount(), took.GetSampleSum())
	}
	if last := took.GetBucket()[len(jobBounds())-1]; last.GetCumulativeCount() != 1 || last.GetUpperBound() != 3600 {
		t.Errorf("%d songs within %v s, want one within an hour", last.GetCumulativeCount(), last.GetUpperBound())
	}
	var stages float64
	for _, stage := range jobStages {
		h := find(t, all, "autovoiced_job_stage_seconds", "stage="+stage).GetHistogram()
		if h.GetSampleCount() != 1 {
			t.Errorf("%d songs in %s, want 1", h.GetSampleCount(), stage)
		}
		stages += h.GetSampleSum()
	}
	if stages <= 0 || stages > took.GetSampleSum() {
		t.Errorf("the stages took %v s of %v s", stages, took.GetSampleSum())
	}
}

// TestSongsInTheStatus: those that run, with how far they are, those that wait, and what became of the others.
func TestSongsInTheStatus(t *testing.T) {
	d, _ := jobsDaemon(t)
	if s := d.Status().Jobs; s.Queued != 0 || s.Running == nil || len(s.Running) != 0 || s.Ended[wire.JobDone] != 0 {
		t.Errorf("with no songs: %+v", s)
	}
	c := newChecker(t, d)
	followJob(t, d, post(t, d, `{"preset":"fast"}`, "short.wav", wavBytes(t, 16000, 0.5)).ID)
	long := post(t, d, `{"preset":"fast"}`, "long.wav", wavBytes(t, 16000, 30))
	post(t, d, `{"preset":"fast"}`, "next.wav", wavBytes(t, 16000, 0.5))
	eventually(t, "the song is told of with its stage", func() bool {
		s := d.Status().Jobs
		return len(s.Running) == 1 && s.Running[0].Progress > 0 && s.Running[0].Stage != ""
	})
	c.finds("Status", d, "/v1/status")
	s := d.Status().Jobs
	if one := s.Running[0]; s.Queued != 1 || one.ID != long.ID || one.Name != "long.wav" || one.AudioSeconds != 30 || s.Ended[wire.JobDone] != 1 || s.Ended[wire.JobFailed] != 0 {
		t.Errorf("status %+v, want long.wav running, one queued and one done", s)
	}
}
