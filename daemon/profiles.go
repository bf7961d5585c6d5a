package daemon

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	"github.com/autovoiced/autovoiced/infer"
)

const (
	// ProfileFormat is the version of profile.json that this build reads.
	ProfileFormat = 1

	profileFile = "profile.json"
	// maxProfileFile and maxClipFile bound what is read of a profile, in bytes.
	maxProfileFile, maxClipFile = 1 << 20, 8 << 20
	// forgotten is how old an unfinished folder must be to be swept up: whoever wrote it has died.
	forgotten = time.Hour
)

// ErrNoProfile is what a lookup by a wrong name wraps.
var ErrNoProfile = errors.New("there is no profile")

// errProfileName is a name that no profile can have.
var errProfileName = errors.New("profile name")

// Profile is a target that is kept: a folder of its name, with profile.json and the clips.
type Profile struct {
	Format  int       `json:"format"`
	ID      string    `json:"id"`
	Name    string    `json:"name"`
	Created time.Time `json:"created"`
	Study
}

// Target is the profile's speaker.
func (pr *Profile) Target() infer.Target { return pr.Study.Target(pr.Name) }

// Profiles is the folder of profiles. It holds nothing in memory, so that several processes can use it
// at once: a profile comes into being, and goes, by the renaming of a whole folder.
type Profiles struct {
	folder string
	err    error // why there is no folder
}

// OpenProfiles names the user's folder, which need not be there yet: autovoice/profiles under
// XDG_DATA_HOME or ~/.local/share.
func OpenProfiles() *Profiles {
	data := os.Getenv("XDG_DATA_HOME")
	if !filepath.IsAbs(data) { // the specification has relative ones ignored
		home, err := os.UserHomeDir()
		if err != nil {
			return &Profiles{err: fmt.Errorf("profiles: no folder to keep them in: %w; set XDG_DATA_HOME", err)}
		}
		data = filepath.Join(home, ".local", "share")
	}
	return &Profiles{folder: filepath.Join(data, "autovoice", "profiles")}
}

// Folder is where the profile of a name is or would be.
func (p *Profiles) Folder(name string) string { return filepath.Join(p.folder, name) }

var profileName = regexp.MustCompile(`^[\p{L}\p{N}][\p{L}\p{M}\p{N}._-]{0,39}$`)

func checkProfileName(name string) error {
	if !profileName.MatchString(name) {
		return fmt.Errorf("%w %q, allowed: 1 to 40 letters, digits, '-', '_' and '.', beginning with a letter or digit", errProfileName, name)
	}
	return nil
}

// free checks that a new profile can have the name: no profile and no voice of a pack has it.
func (p *Profiles) free(cfg infer.Config, name string) error {
	if err := checkProfileName(name); err != nil {
		return err
	}
	if p.err != nil {
		return p.err
	}
	registry, err := infer.NewRegistry(cfg)
	if err != nil {
		return err
	}
	_, err = registry.Find(name)
	if closed := registry.Close(); closed != nil {
		return closed
	}
	if err == nil {
		return takenError(fmt.Sprintf("%q is the name of a built-in voice; choose another for the profile", name))
	}
	if _, err := os.Lstat(p.Folder(name)); err == nil {
		return alreadyThere(name)
	}
	return nil
}

func alreadyThere(name string) error {
	return takenError(fmt.Sprintf("there is a profile %q already; remove it first, or choose another name", name))
}

// takenError is an fs.ErrExist that says by itself what is the matter.
type takenError string

func (e takenError) Error() string { return string(e) }

func (takenError) Is(target error) bool { return target == fs.ErrExist }

// Add makes a profile of recordings. Its verdicts are warnings; recordings that do not serve are a
// *RefusedError, and nothing is kept.
func (p *Profiles) Add(ctx context.Context, cfg Config, name string, paths []string) (*Profile, error) {
	if err := p.free(cfg.Infer, name); err != nil { // before the work
		return nil, err
	}
	study, clips, err := hear(ctx, cfg, paths)
	if err != nil {
		return nil, err
	}
	made := &Profile{Format: ProfileFormat, ID: newProfileID(), Name: name, Created: time.Now().UTC().Truncate(time.Second), Study: *study}
	err = p.put(name, func(folder string) error {
		for i, c := range clips {
			made.Clips[i].File = fmt.Sprintf("clip-%02d.flac", i+1)
			path := filepath.Join(folder, made.Clips[i].File)
			if err := c.writeFLAC(path); err != nil {
				return err
			}
			data, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			made.Clips[i].Bytes, made.Clips[i].SHA256 = int64(len(data)), sumText(data)
		}
		return made.write(folder)
	})
	if err != nil {
		return nil, err
	}
	return made, nil
}

func newProfileID() string {
	var id [16]byte
	_, _ = rand.Read(id[:]) // never fails
	return hex.EncodeToString(id[:])
}

func sumText(data []byte) string {
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:])
}

// put lets fill write a folder and gives it the profile's name when all of it is there. Of several who
// put the same name, one succeeds.
func (p *Profiles) put(name string, fill func(folder string) error) error {
	part, err := p.scratch()
	if err != nil {
		return err
	}
	defer os.RemoveAll(part) //nolint:errcheck // after the rename there is nothing of that name
	if err := fill(part); err != nil {
		return fmt.Errorf("profile %s: %w", name, err)
	}
	if err := syncFolder(part); err != nil {
		return fmt.Errorf("profile %s: %w", name, err)
	}
	if err := os.Rename(part, p.Folder(name)); errors.Is(err, fs.ErrExist) {
		return alreadyThere(name)
	} else if err != nil {
		return fmt.Errorf("profile %s: %w", name, err)
	}
	return syncFolder(p.folder)
}

// scratch is a new folder beside the profiles that nobody lists; should its maker die, it is swept up
// later.
func (p *Profiles) scratch() (string, error) {
	if p.err != nil {
		return "", p.err
	}
	if err := os.MkdirAll(p.folder, 0o700); err != nil {
		return "", fmt.Errorf("profiles: %w", err)
	}
	p.sweep()
	folder, err := os.MkdirTemp(p.folder, ".new-")
	if err != nil {
		return "", fmt.Errorf("profiles: %w", err)
	}
	return folder, nil
}

// write puts profile.json into a folder, in place of the one that may be there.
func (pr *Profile) write(folder string) error {
	text, err := json.MarshalIndent(pr, "", "  ")
	if err != nil {
		return err
	}
	f, err := os.CreateTemp(folder, ".json-")
	if err != nil {
		return err
	}
	_, err = f.Write(append(text, '\n'))
	if err == nil {
		err = f.Sync()
	}
	err = errors.Join(err, f.Close())
	if err == nil {
		err = os.Rename(f.Name(), filepath.Join(folder, profileFile))
	}
	if err != nil {
		return errors.Join(err, removed(f.Name()))
	}
	return nil
}

func syncFolder(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}

// sweep removes what processes that died have left unfinished.
func (p *Profiles) sweep() {
	left, _ := filepath.Glob(filepath.Join(p.folder, ".*")) // the pattern is sound
	for _, path := range left {
		if info, err := os.Lstat(path); err == nil && info.IsDir() && time.Since(info.ModTime()) > forgotten {
			_ = os.RemoveAll(path) // it will be tried again
		}
	}
}

// Find reads a profile.
func (p *Profiles) Find(name string) (*Profile, error) {
	if p.err != nil {
		return nil, p.err
	}
	if checkProfileName(name) != nil { // nor could there be one
		return nil, fmt.Errorf("%w %q", ErrNoProfile, name)
	}
	text, err := readSmall(filepath.Join(p.Folder(name), profileFile), maxProfileFile)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%w %q", ErrNoProfile, name)
	}
	if err != nil {
		return nil, fmt.Errorf("profile %s: %w", name, err)
	}
	pr, err := parseProfile(text)
	if err == nil && pr.Name != name {
		err = fmt.Errorf("its name is %q, expected that of its folder", pr.Name)
	}
	if err != nil {
		return nil, fmt.Errorf("profile %s: %s: %w", name, profileFile, err)
	}
	return pr, nil
}

func readSmall(path string, most int64) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close() //nolint:errcheck // it was only read
	text, err := io.ReadAll(io.LimitReader(f, most+1))
	if err == nil && int64(len(text)) > most {
		err = fmt.Errorf("%s is longer than %d bytes", filepath.Base(path), most)
	}
	return text, err
}

// parseProfile reads and checks profile.json, which may come from anywhere.
func parseProfile(text []byte) (*Profile, error) {
	var pr Profile
	if err := json.Unmarshal(text, &pr); err != nil {
		return nil, fmt.Errorf("not a profile: %w", err)
	}
	if pr.Format != ProfileFormat {
		return nil, fmt.Errorf("format %d found, %d expected: it was made by another version of autovoiced", pr.Format, ProfileFormat)
	}
	if err := checkProfileName(pr.Name); err != nil {
		return nil, err
	}
	return &pr, pr.check()
}

func (s *Study) check() error {
	var sum float64
	for _, v := range s.Embedding {
		sum += float64(v) * float64(v)
	}
	if !(math.Abs(math.Sqrt(sum)-1) < 0.01) { // also refuses NaN, and an empty one
		return fmt.Errorf("'embedding' has %d values of length %g, expected length 1", len(s.Embedding), math.Sqrt(sum))
	}
	if !(s.MedianHz >= 40 && s.MedianHz <= 1100) {
		return fmt.Errorf("'median_hz' is %g, expected 40 to 1100", s.MedianHz)
	}
	if err := infer.CheckTone(s.Tone); err != nil {
		return fmt.Errorf("'tone': %w", err)
	}
	if len(s.Clips) > maxClips {
		return fmt.Errorf("%d 'clips', expected at most %d", len(s.Clips), maxClips)
	}
	seen := map[string]bool{profileFile: true}
	for _, c := range s.Clips {
		if c.File != filepath.Base(c.File) || strings.HasPrefix(c.File, ".") || !strings.HasSuffix(c.File, ".flac") || seen[c.File] {
			return fmt.Errorf("clip %q, expected the name of a FLAC file of its own", c.File)
		}
		seen[c.File] = true
		if c.Bytes < 0 || c.Bytes > maxClipFile {
			return fmt.Errorf("clip %s has %d bytes, expected at most %d", c.File, c.Bytes, maxClipFile)
		}
	}
	return nil
}

// List reads all profiles, by name; what cannot be read is told in the error and left out.
func (p *Profiles) List() ([]*Profile, error) {
	if p.err != nil {
		return nil, p.err
	}
	entries, err := os.ReadDir(p.folder)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("profiles: %w", err)
	}
	var all []*Profile
	var errs []error
	for _, entry := range entries {
		if strings.HasPrefix(entry.Name(), ".") || !entry.IsDir() {
			continue
		}
		pr, err := p.Find(entry.Name())
		switch {
		case err == nil:
			all = append(all, pr)
		case !errors.Is(err, ErrNoProfile): // it was removed just now
			errs = append(errs, err)
		}
	}
	return all, errors.Join(errs...)
}

// Remove deletes a profile and its clips.
func (p *Profiles) Remove(name string) error {
	if p.err != nil {
		return p.err
	}
	if checkProfileName(name) != nil {
		return fmt.Errorf("%w %q", ErrNoProfile, name)
	}
	gone := filepath.Join(p.folder, ".gone-"+newProfileID())
	err := os.Rename(p.Folder(name), gone)
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%w %q", ErrNoProfile, name)
	}
	if err == nil {
		err = os.RemoveAll(gone)
	}
	if err != nil {
		return fmt.Errorf("profile %s: %w", name, err)
	}
	return nil
}

// Refresh hears a profile's clips again and puts what is heard in place of what was: after the speaker
// encoder has changed.
func (p *Profiles) Refresh(ctx context.Context, cfg Config, name string) (*Profile, error) {
	pr, err := p.Find(name)
	if err != nil {
		return nil, err
	}
	paths, was := []string{}, map[string]Clip{}
	for _, c := range pr.Clips {
		paths, was[c.File] = append(paths, filepath.Join(p.Folder(name), c.File)), c
	}
	study, _, err := hear(ctx, cfg, paths)
	if err != nil {
		return nil, fmt.Errorf("profile %s: %w", name, err)
	}
	for i, c := range study.Clips {
		old := was[c.Source]
		study.Clips[i].File, study.Clips[i].Source, study.Clips[i].Bytes, study.Clips[i].SHA256 = old.File, old.Source, old.Bytes, old.SHA256
	}
	pr.Study = *study
	if err := pr.write(p.Folder(name)); err != nil {
		return nil, fmt.Errorf("profile %s: %w", name, err)
	}
	return pr, nil
}

func removed(path string) error {
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	return nil
}
