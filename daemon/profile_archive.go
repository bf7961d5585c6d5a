package daemon

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/autovoiced/autovoiced/stream"
)

// maxArchive bounds a profile's archive, and what is in it, in bytes.
const maxArchive = maxClips * maxClipFile

// member is one file of a profile on its way into or out of an archive.
type member struct {
	name string // within the profile's folder
	data []byte
}

// Export writes a profile and its clips to one file, .zip or .tar.gz (.tgz) by its name; in the archive
// is one folder of the profile's name. An existing file is not overwritten.
func (p *Profiles) Export(name, to string) error {
	pack, err := packer(to)
	if err != nil {
		return err
	}
	pr, err := p.Find(name)
	if err != nil {
		return err
	}
	members, err := p.members(pr)
	if err != nil {
		return fmt.Errorf("profile %s: %w", name, err)
	}
	if _, err := os.Lstat(to); err == nil {
		return takenError(fmt.Sprintf("%s is there already; remove it first, or choose another name", to))
	}
	part, err := os.CreateTemp(filepath.Dir(to), "."+filepath.Base(to)+"-")
	if err != nil {
		return fmt.Errorf("export: %w", err)
	}
	err = pack(part, name, pr.Created, members)
	if err == nil {
		err = part.Sync()
	}
	if err = errors.Join(err, part.Close()); err == nil {
		err = os.Rename(part.Name(), to)
	}
	if err != nil {
		return errors.Join(fmt.Errorf("export to %s: %w", to, err), removed(part.Name()))
	}
	return nil
}

func packer(to string) (func(io.Writer, string, time.Time, []member) error, error) {
	switch {
	case strings.HasSuffix(to, ".zip"):
		return packZip, nil
	case strings.HasSuffix(to, ".tar.gz"), strings.HasSuffix(to, ".tgz"):
		return packTar, nil
	default:
		return nil, fmt.Errorf("export to %s: expected a name that ends in .zip, .tar.gz or .tgz", to)
	}
}

// members reads all of a profile and holds it against what profile.json says.
func (p *Profiles) members(pr *Profile) ([]member, error) {
	text, err := readSmall(filepath.Join(p.Folder(pr.Name), profileFile), maxProfileFile)
	if err != nil {
		return nil, err
	}
	all := []member{{profileFile, text}}
	for _, c := range pr.Clips {
		data, err := readSmall(filepath.Join(p.Folder(pr.Name), c.File), maxClipFile)
		if err != nil {
			return nil, err
		}
		all = append(all, member{c.File, data})
	}
	return all, checkMembers(pr, all)
}

func packZip(w io.Writer, name string, at time.Time, members []member) error {
	z := zip.NewWriter(w)
	for _, m := range members {
		f, err := z.CreateHeader(&zip.FileHeader{Name: path.Join(name, m.name), Method: zip.Deflate, Modified: at})
		if err == nil {
			_, err = f.Write(m.data)
		}
		if err != nil {
			return err
		}
	}
	return z.Close()
}

func packTar(w io.Writer, name string, at time.Time, members []member) error {
	g := gzip.NewWriter(w)
	t := tar.NewWriter(g)
	for _, m := range members {
		h := &tar.Header{Typeflag: tar.TypeReg, Name: path.Join(name, m.name), Mode: 0o600, Size: int64(len(m.data)), ModTime: at}
		if err := t.WriteHeader(h); err != nil {
			return err
		}
		if _, err := t.Write(m.data); err != nil {
			return err
		}
	}
	return errors.Join(t.Close(), g.Close())
}

// Import makes a profile of an exported file, under its own name unless another is given. Nothing of
// the file is trusted: not its paths, sizes, numbers nor recordings.
func (p *Profiles) Import(ctx context.Context, cfg Config, from, name string) (*Profile, error) {
	data, err := readSmall(from, maxArchive)
	if err != nil {
		return nil, fmt.Errorf("import: %w", err)
	}
	pr, members, err := unpack(ctx, data)
	if err != nil {
		return nil, fmt.Errorf("import %s: %w", from, err)
	}
	if name != "" {
		pr.Name = name
	}
	if err := p.free(cfg.Infer, pr.Name); err != nil {
		return nil, fmt.Errorf("import %s: %w", from, err)
	}
	err = p.put(pr.Name, func(folder string) error {
		for _, m := range members[1:] {
			if err := os.WriteFile(filepath.Join(folder, m.name), m.data, 0o600); err != nil {
				return err
			}
		}
		return pr.write(folder)
	})
	if err != nil {
		return nil, err
	}
	return pr, nil
}

// unpack reads a profile and its files, profile.json first, out of an archive of plain files in one
// folder or in none.
func unpack(ctx context.Context, data []byte) (pr *Profile, members []member, err error) {
	collect := &collector{left: maxArchive}
	switch {
	case bytes.HasPrefix(data, []byte("PK")):
		err = collect.zip(data)
	case bytes.HasPrefix(data, []byte{0x1f, 0x8b}):
		err = collect.tar(data)
	default:
		err = errors.New("neither .zip nor .tar.gz")
	}
	if err != nil {
		return nil, nil, err
	}
	pr, err = readMembers(ctx, collect.members)
	return pr, collect.members, err
}

// collector takes files out of an archive, within limits.
type collector struct {
	folder  string
	members []member
	left    int64 // bytes
}

func (c *collector) zip(data []byte) error {
	z, err := zip.NewReader(bytes.NewReader(data), int64(len(data)))
	if err != nil {
		return err
	}
	for _, f := range z.File {
		if f.Mode().IsDir() {
			continue
		}
		if !f.Mode().IsRegular() {
			return fmt.Errorf("%q is no plain file", f.Name)
		}
		r, err := f.Open()
		if err != nil {
			return fmt.Errorf("%q: %w", f.Name, err)
		}
		if err := errors.Join(c.take(f.Name, r), r.Close()); err != nil {
			return err
		}
	}
	return nil
}

func (c *collector) tar(data []byte) error {
	g, err := gzip.NewReader(bytes.NewReader(data))
	if err != nil {
		return err
	}
	for t := tar.NewReader(g); ; {
		h, err := t.Next()
		if errors.Is(err, io.EOF) {
			_, err := io.Copy(io.Discard, io.LimitReader(g, maxArchive)) // to its checksum
			return err
		}
		switch {
		case err != nil:
			return err
		case h.Typeflag == tar.TypeDir:
		case h.Typeflag != tar.TypeReg:
			return fmt.Errorf("%q is no plain file", h.Name)
		default:
			if err := c.take(h.Name, t); err != nil {
				return err
			}
		}
	}
}

func (c *collector) take(name string, r io.Reader) error {
	folder, base := path.Split(name)
	if folder != path.Clean(folder)+"/" && folder != "" || strings.Contains(strings.TrimSuffix(folder, "/"), "/") ||
		strings.HasPrefix(folder, ".") || strings.ContainsRune(name, '\\') || len(c.members) > 0 && folder != c.folder {
		return fmt.Errorf("%q: expected files in one folder and no deeper", name)
	}
	if len(c.members) > maxClips {
		return fmt.Errorf("more than %d files", maxClips+1)
	}
	data, err := io.ReadAll(io.LimitReader(r, min(maxClipFile, c.left)+1))
	if err != nil {
		return fmt.Errorf("%q: %w", name, err)
	}
	if c.left -= int64(len(data)); c.left < 0 || len(data) > maxClipFile {
		return fmt.Errorf("%q is too large, expected at most %d bytes a file and %d in all", name, maxClipFile, maxArchive)
	}
	c.folder, c.members = folder, append(c.members, member{base, data})
	return nil
}

// readMembers checks that the files are exactly a profile, profile.json first, and all of it sound.
func readMembers(ctx context.Context, members []member) (*Profile, error) {
	i := slices.IndexFunc(members, func(m member) bool { return m.name == profileFile })
	if i < 0 {
		return nil, fmt.Errorf("no %s in it: not an exported profile", profileFile)
	}
	members[0], members[i] = members[i], members[0]
	pr, err := parseProfile(members[0].data)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", profileFile, err)
	}
	if err := checkMembers(pr, members); err != nil {
		return nil, err
	}
	for _, m := range members[1:] {
		if err := checkFLAC(ctx, m); err != nil {
			return nil, err
		}
	}
	return pr, nil
}

// checkMembers holds files, profile.json first, against the clips that the profile lists.
func checkMembers(pr *Profile, members []member) error {
	files := map[string][]byte{}
	for _, m := range members[1:] {
		if _, twice := files[m.name]; twice {
			return fmt.Errorf("%s is there twice", m.name)
		}
		files[m.name] = m.data
	}
	for _, c := range pr.Clips {
		data, there := files[c.File]
		if !there {
			return fmt.Errorf("clip %s: %w", c.File, fs.ErrNotExist)
		}
		if int64(len(data)) != c.Bytes || sumText(data) != c.SHA256 {
			return fmt.Errorf("clip %s is not the file that %s tells of: %d bytes found, %d expected, or other ones", c.File, profileFile, len(data), c.Bytes)
		}
		delete(files, c.File)
	}
	for name := range files {
		return fmt.Errorf("%s is no file of the profile", name)
	}
	return nil
}

// checkFLAC decodes a clip to its end.
func checkFLAC(ctx context.Context, m member) error {
	source, err := stream.NewFileSource(m.name, bytes.NewReader(m.data))
	if err != nil {
		return err
	}
	var c stream.Chunk
	for {
		if err := source.Read(ctx, &c); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return err
		}
	}
}
