package daemon

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/autovoiced/autovoiced/client/wire"
	"github.com/autovoiced/autovoiced/daemon/song"
	"github.com/autovoiced/autovoiced/dsp"
	"github.com/autovoiced/autovoiced/infer"
	"github.com/autovoiced/autovoiced/stream/media"
)

// jobs are the songs that clients have sent: those that wait, in order, those that are converted, and those that are done
// and can be fetched for a while. No more wait than may, and each has its folder, which goes with it.
type jobs struct {
	d   *Daemon
	cfg JobsConfig

	mu      sync.Mutex
	all     []*job // in the order in which they came
	waiting int    // reserved or queued
	tally   jobTally
	folder  *jobsFolder
	closed  bool

	wake    chan struct{}   // there may be work
	ctx     context.Context // ends with the daemon
	cancel  context.CancelFunc
	workers sync.WaitGroup
}

// job is one of them. Its fields are guarded by jobs.mu, but for those that never change.
type job struct {
	folder  string
	song    string // path
	options wire.Convert
	given   given
	cancel  context.CancelFunc
	ctx     context.Context

	look    wire.Job
	came    time.Time
	began   time.Time
	result  string        // path, once it is done
	changed chan struct{} // closed at the next change
	running bool
	gone    bool // forgotten: its folder goes as soon as nobody works in it
}

// mostKept is how many jobs that are through are kept at most, whatever their time.
const mostKept = 100

func newJobs(d *Daemon) *jobs {
	j := &jobs{d: d, cfg: d.cfg.Jobs, tally: newJobTally(), wake: make(chan struct{}, 1)}
	j.ctx, j.cancel = context.WithCancel(context.Background())
	return j
}

// start begins to work.
func (j *jobs) start() {
	for range j.cfg.Workers {
		j.workers.Go(j.work)
	}
	j.workers.Go(j.sweep)
}

// stop ends what runs, and throws everything away.
func (j *jobs) stop() error {
	j.mu.Lock()
	j.closed = true
	j.mu.Unlock()
	j.cancel()
	j.workers.Wait()
	j.mu.Lock()
	defer j.mu.Unlock()
	for _, one := range j.all {
		if !one.look.State.Final() {
			one.end(wire.JobCancelled, wire.Errorf(wire.CodeShuttingDown, "", "the daemon is stopping"))
		}
	}
	if j.folder == nil {
		return nil
	}
	return j.folder.remove()
}

// reserve makes a place in the queue for a song that is about to be sent. The caller fills it with add, or gives it back.
func (j *jobs) reserve() (folder string, werr *wire.Error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	switch {
	case j.closed:
		return "", wire.Errorf(wire.CodeShuttingDown, "", "the daemon is stopping")
	case j.waiting >= j.cfg.Queue:
		return "", wire.Errorf(wire.CodeTooManyJobs, "", "%d songs wait, as many as jobs.queue allows", j.waiting)
	}
	if j.folder == nil {
		made, err := openJobsFolder(j.cfg.Folder)
		if diskFull(err) {
			return "", keepError(err)
		}
		if err != nil {
			return "", wire.Errorf(wire.CodeInternal, "", "%v", err)
		}
		j.folder = made
	}
	folder, err := os.MkdirTemp(j.folder.path, "")
	if err != nil {
		return "", keepError(err)
	}
	j.waiting++
	return folder, nil
}

// release gives a reserved place back.
func (j *jobs) release(folder string) {
	j.mu.Lock()
	j.waiting--
	j.mu.Unlock()
	_ = os.RemoveAll(folder) // with all of them at the latest
}

// add queues a song that has come.
func (j *jobs) add(u *songUpload) (wire.Job, *wire.Error) {
	one := &job{folder: u.folder, song: u.path, options: u.options, given: u.given, came: time.Now(), changed: make(chan struct{})}
	one.ctx, one.cancel = context.WithCancel(j.ctx)
	one.look = wire.Job{ID: jobID(), Name: u.name, State: wire.JobQueued, Created: time.Now().UTC()}
	if d, err := media.Open(u.path); err == nil { // it was opened before; this is for its length
		one.look.AudioSeconds = float64(d.Frames()) / float64(d.Rate())
		_ = d.Close() // it was only read
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.closed {
		one.cancel()
		return wire.Job{}, wire.Errorf(wire.CodeShuttingDown, "", "the daemon is stopping")
	}
	j.all = append(j.all, one)
	signal(j.wake)
	return j.view(one), nil
}

func jobID() string {
	var b [8]byte
	_, _ = rand.Read(b[:]) // never fails
	return hex.EncodeToString(b[:])
}

// find is a job as it is now, and a channel that is closed when it changes.
func (j *jobs) find(id string) (look wire.Job, changed <-chan struct{}, ok bool) {
	j.mu.Lock()
	defer j.mu.Unlock()
	one := j.one(id)
	if one == nil {
		return wire.Job{}, nil, false
	}
	return j.view(one), one.changed, true
}

func (j *jobs) one(id string) *job {
	i := slices.IndexFunc(j.all, func(one *job) bool { return one.look.ID == id })
	if i < 0 {
		return nil
	}
	return j.all[i]
}

// list is all of them, oldest first.
func (j *jobs) list() []wire.Job {
	j.mu.Lock()
	defer j.mu.Unlock()
	all := make([]wire.Job, len(j.all))
	for i, one := range j.all {
		all[i] = j.view(one)
	}
	return all
}

// view is a job for somebody else to keep.
func (j *jobs) view(one *job) wire.Job {
	look := one.look
	if look.State == wire.JobQueued {
		for _, other := range j.all {
			if other == one {
				break
			}
			if !other.look.State.Final() {
				look.Ahead++
			}
		}
	}
	if look.State == wire.JobRunning {
		look.ElapsedSeconds = time.Since(one.began).Seconds()
	}
	return look
}

// forget cancels a job and throws it away; false where there is none.
func (j *jobs) forget(id string) bool {
	j.mu.Lock()
	defer j.mu.Unlock()
	one := j.one(id)
	if one == nil {
		return false
	}
	j.drop(one)
	return true
}

func (j *jobs) drop(one *job) {
	one.cancel()
	one.gone = true
	if one.look.State == wire.JobQueued {
		j.waiting--
	}
	if !one.look.State.Final() {
		one.end(wire.JobCancelled, nil)
		j.tally.count(&one.look)
	}
	j.all = slices.DeleteFunc(j.all, func(other *job) bool { return other == one })
	if !one.running {
		_ = os.RemoveAll(one.folder) // with all of them at the latest
	}
}

// tell wakes who waits for a change.
func (one *job) tell() {
	close(one.changed)
	one.changed = make(chan struct{})
}

func (one *job) end(state wire.JobState, err *wire.Error) {
	one.look.State, one.look.Error, one.look.Stage, one.look.ETASeconds = state, err, "", 0
	if err != nil {
		err.Fatal = false // it ends no connection
	}
	one.tell()
}

// sweep forgets jobs whose time is over.
func (j *jobs) sweep() {
	every := time.NewTicker(min(j.cfg.Keep/4, time.Minute))
	defer every.Stop()
	for {
		select {
		case <-j.ctx.Done():
			return
		case now := <-every.C:
			j.expire(now)
		}
	}
}

func (j *jobs) expire(now time.Time) {
	j.mu.Lock()
	defer j.mu.Unlock()
	final := 0
	for _, one := range slices.Backward(slices.Clone(j.all)) { // the newest are kept
		if !one.look.State.Final() {
			continue
		}
		if final++; final > mostKept || one.look.Expires != nil && now.After(*one.look.Expires) {
			j.drop(one)
		}
	}
}

// work converts one song after another.
func (j *jobs) work() {
	for j.ctx.Err() == nil {
		one := j.begin()
		if one == nil {
			select {
			case <-j.wake:
			case <-j.ctx.Done():
			}
			continue
		}
		result, err := j.convert(one)
		j.finish(one, result, err)
	}
}

// begin takes up the job that has waited longest; nil where none waits.
func (j *jobs) begin() *job {
	j.mu.Lock()
	defer j.mu.Unlock()
	i := slices.IndexFunc(j.all, func(one *job) bool { return one.look.State == wire.JobQueued })
	if i < 0 {
		return nil
	}
	one := j.all[i]
	j.waiting--
	one.running, one.began, one.look.State = true, time.Now(), wire.JobRunning
	j.tally.begun(one.began.Sub(one.came))
	for _, other := range j.all {
		other.tell() // who waits is nearer
	}
	if j.waiting > 0 {
		signal(j.wake) // another worker may be idle
	}
	return one
}

func (j *jobs) convert(one *job) (r Result, err error) {
	defer func() {
		if fault := recover(); fault != nil {
			err = fmt.Errorf("panic: %v\n%s", fault, debug.Stack())
		}
	}()
	o := ConvertOptions{
		Voice: one.options.Voice, Preset: one.options.Preset, Pitch: one.options.Pitch, Rate: one.options.SampleRate, PCM: samplesOf[one.options.Samples],
		VocalGainDB: one.options.VocalGainDB, MusicGainDB: one.options.MusicGainDB,
		Embedding: one.given.embedding, F0: one.given.f0,
		Progress: func(p song.Progress) { j.progress(one, p) },
	}
	if one.options.Profile != "" {
		o.Voice = one.options.Profile
	}
	if one.options.Format == wire.FormatFLAC {
		o.Format = media.FLAC
	}
	return j.d.convert(one.ctx, one.song, one.target(), o)
}

// samplesOf are the protocol's samples; without a word they are s16.
var samplesOf = map[string]dsp.PCM{"": dsp.S16LE, wire.SamplesS16: dsp.S16LE, wire.SamplesS24: dsp.S24LE, wire.SamplesF32: dsp.F32LE}

// target is where the result goes.
func (one *job) target() string { return filepath.Join(one.folder, "result."+one.format()) }

func (one *job) format() string { return cmp.Or(one.options.Format, wire.FormatWAV) }

func (j *jobs) progress(one *job, p song.Progress) {
	j.mu.Lock()
	defer j.mu.Unlock()
	l := &one.look
	if l.State != wire.JobRunning {
		return
	}
	l.Stage, l.Progress, l.ETASeconds = p.Stage, p.Done, p.Left.Seconds()
	if p.Song > 0 {
		l.AudioSeconds = p.Song.Seconds()
	}
	if p.Elapsed > 0 {
		l.Speed = p.Done * p.Song.Seconds() / p.Elapsed.Seconds()
	}
	one.tell()
}

// finish says what became of a job.
func (j *jobs) finish(one *job, r Result, err error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	one.running = false
	one.look.ElapsedSeconds = time.Since(one.began).Seconds()
	_ = os.Remove(one.song) // it is not needed any more
	if one.gone {
		_ = os.RemoveAll(one.folder)
		return
	}
	expires := time.Now().Add(j.cfg.Keep).UTC()
	one.look.Expires = &expires
	switch {
	case err == nil:
		one.result = one.target()
		one.look.Progress, one.look.AudioSeconds, one.look.Speed = 1, r.AudioSeconds, r.AudioSeconds/max(r.ElapsedSeconds, 1e-9)
		one.look.Result = one.wire(r)
		one.end(wire.JobDone, nil)
	case one.ctx.Err() != nil:
		one.end(wire.JobCancelled, nil)
	default:
		fault := one.fault(err)
		if fault.Code == wire.CodeInternal || fault.Code == wire.CodeDiskFull {
			j.d.log.Error().Err(err).Str("job", one.look.ID).Msg("converting a song")
		}
		one.end(wire.JobFailed, fault)
	}
	j.tally.count(&one.look)
}

func (one *job) wire(r Result) *wire.JobResult {
	t := r.StageTimingsMS
	return &wire.JobResult{
		URL: "/v1/convert/" + one.look.ID + "/result", Format: one.format(), Samples: cmp.Or(one.options.Samples, wire.SamplesS16), Rate: r.Rate, Channels: r.Channels, Frames: r.Frames,
		Voice: r.Voice, PitchShift: r.PitchShift, RTF: r.RTF, Separation: r.Separation,
		StageTimingsMS: map[string]float64{
			"separation": t.Separation, "f0_extraction": t.F0Extraction, "conversion": t.Conversion, "mixing": t.Mixing, "total": t.Total,
		},
		Provider: r.Provider, TensorRT: tensorRTOf(r), Models: r.Metadata.Models, Notes: r.Notes,
	}
}

// tensorRTOf is the voice's, but for what the other models make of it.
func tensorRTOf(r Result) *wire.TensorRT {
	if r.Provider.TensorRT == nil {
		return nil
	}
	t := wire.TensorRT{Requested: r.Provider.TensorRT.Requested, Enabled: r.Metadata.TensorRT.Enabled}
	if t.Enabled {
		t.Precision = *r.Metadata.TensorRT.Precision
	}
	return &t
}

// fault says in the protocol's words why a song failed, by the name that the client gave it.
func (one *job) fault(err error) *wire.Error {
	text := strings.ReplaceAll(err.Error(), one.song, one.look.Name)
	text = strings.ReplaceAll(text, one.folder, "the jobs' folder")
	var werr *wire.Error
	switch {
	case errors.As(err, &werr):
		own := *werr
		return &own
	case errors.Is(err, song.ErrSong):
		return wire.Errorf(wire.CodeBadAudio, "song", "%s", text)
	case errors.Is(err, song.ErrF0):
		return wire.Errorf(wire.CodeBadParam, partF0, "%s", text)
	case errors.Is(err, errEmbedding):
		return wire.Errorf(wire.CodeBadParam, partEmbedding, "%s", text)
	case errors.Is(err, song.ErrOption):
		return wire.Errorf(wire.CodeBadParam, "options", "%s", text)
	case errors.Is(err, infer.ErrUnknownVoice), errors.Is(err, ErrNoProfile):
		return wire.Errorf(wire.CodeUnknownVoice, "voice", "%s", text)
	case diskFull(err):
		return wire.Errorf(wire.CodeDiskFull, "", "%s", text)
	}
	if e := gpuError(err); e != nil {
		return e
	}
	return wire.Errorf(wire.CodeInternal, "", "%s", text)
}
