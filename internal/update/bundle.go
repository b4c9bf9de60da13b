package update

import (
	"archive/tar"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"aead.dev/minisign"
	"github.com/google/renameio/v2"
)

// The members of a bundle that come first, in this order.
const (
	manifestName  = "manifest.json"
	signatureName = "manifest.json.minisig"
)

// Limits on what a bundle may make us read before, and after, its signature
// was verified.
const (
	maxManifest = 64 << 10
	maxProgram  = 256 << 20
)

// ErrUntrusted is returned for a bundle that nobody we trust has signed.
var ErrUntrusted = errors.New("the bundle is not signed by a key that this device trusts")

// Manifest says what a bundle holds.
type Manifest struct {
	Product  string             `json:"product"` // always "appliance"
	Version  string             `json:"version"`
	Built    time.Time          `json:"built"`
	Programs map[string]Program `json:"programs"` // by processor: arm, arm64, amd64, riscv64
}

// Program is one member of a bundle.
type Program struct {
	Name   string `json:"name"`
	Size   int64  `json:"size"`
	SHA256 string `json:"sha256"`
}

const product = "appliance"

// Pack writes a bundle of programs, by processor, to w and signs it.
func Pack(w io.Writer, version string, built time.Time, programs map[string]string, key minisign.PrivateKey) error {
	m := Manifest{Product: product, Version: version, Built: built.UTC(), Programs: map[string]Program{}}
	archs := make([]string, 0, len(programs))
	for arch, path := range programs {
		digest, size, err := digestOf(path)
		if err != nil {
			return err
		}
		m.Programs[arch] = Program{Name: "appliance-" + arch, Size: size, SHA256: digest}
		archs = append(archs, arch)
	}
	slices.Sort(archs)
	text, err := json.MarshalIndent(m, "", "  ")
	if err != nil {
		return err
	}
	out := tar.NewWriter(w)
	if err := member(out, manifestName, text, m.Built); err != nil {
		return err
	}
	if err := member(out, signatureName, minisign.SignWithComments(key, text, "appliance "+version, "update bundle of appliance "+version), m.Built); err != nil {
		return err
	}
	for _, arch := range archs {
		program, err := os.ReadFile(programs[arch])
		if err != nil {
			return err
		}
		if err := member(out, m.Programs[arch].Name, program, m.Built); err != nil {
			return err
		}
	}
	return out.Close()
}

func member(w *tar.Writer, name string, data []byte, at time.Time) error {
	if err := w.WriteHeader(&tar.Header{Name: name, Mode: 0o644, Size: int64(len(data)), ModTime: at, Format: tar.FormatUSTAR}); err != nil {
		return err
	}
	_, err := w.Write(data)
	return err
}

func digestOf(path string) (string, int64, error) {
	file, err := os.Open(path)
	if err != nil {
		return "", 0, err
	}
	defer file.Close()
	hash := sha256.New()
	size, err := io.Copy(hash, file)
	return hex.EncodeToString(hash.Sum(nil)), size, err
}

// bundle is a bundle whose manifest is verified, being read.
type bundle struct {
	Manifest
	members *tar.Reader
}

// open reads the head of a bundle. keys are those that are trusted.
func open(r io.Reader, keys []minisign.PublicKey) (*bundle, error) {
	members := tar.NewReader(r)
	text, err := small(members, manifestName)
	if err != nil {
		return nil, err
	}
	signature, err := small(members, signatureName)
	if err != nil {
		return nil, err
	}
	if !slices.ContainsFunc(keys, func(k minisign.PublicKey) bool { return minisign.Verify(k, text, signature) }) {
		return nil, ErrUntrusted
	}
	b := &bundle{members: members}
	if err := json.Unmarshal(text, &b.Manifest); err != nil {
		return nil, fmt.Errorf("reading the manifest: %w", err)
	}
	if b.Product != product {
		return nil, fmt.Errorf("the bundle is of %q, not of %s", b.Product, product)
	}
	return b, nil
}

func small(members *tar.Reader, name string) ([]byte, error) {
	head, err := members.Next()
	switch {
	case err != nil || head.Name != name:
		return nil, errors.New("this is no update bundle: it does not begin with " + manifestName + " and its signature")
	case head.Size > maxManifest:
		return nil, fmt.Errorf("%s has %d bytes, more than %d", name, head.Size, maxManifest)
	}
	return io.ReadAll(members)
}

// find goes to the program for a processor, and returns what reads it. Whether
// that is what was signed is for the reader's end to tell.
func (b *bundle) find(arch string) (Program, io.Reader, error) {
	program, ok := b.Programs[arch]
	if !ok {
		return program, nil, fmt.Errorf("the bundle has nothing for this processor (%s)", arch)
	}
	if program.Size > maxProgram {
		return program, nil, fmt.Errorf("%s has %d bytes, more than %d", program.Name, program.Size, maxProgram)
	}
	for {
		head, err := b.members.Next()
		if errors.Is(err, io.EOF) {
			return program, nil, fmt.Errorf("the bundle ends before %s: copy it again", program.Name)
		}
		if err != nil {
			return program, nil, fmt.Errorf("reading the bundle: %w", err)
		}
		if head.Name == program.Name {
			return program, io.LimitReader(b.members, program.Size), nil
		}
	}
}

// copyProgram copies a program, and fails unless it is what was signed.
func copyProgram(w io.Writer, r io.Reader, program Program) error {
	hash := sha256.New()
	if _, err := io.Copy(io.MultiWriter(w, hash), r); err != nil {
		return fmt.Errorf("unpacking %s: %w", program.Name, err)
	}
	if got := hex.EncodeToString(hash.Sum(nil)); got != program.SHA256 {
		return fmt.Errorf("%s is damaged (its SHA-256 is %s…): copy the bundle again", program.Name, got[:8])
	}
	return nil
}

// writeProgram writes a program to path, atomically, once it is known to be
// right.
func writeProgram(path string, r io.Reader, program Program) error {
	file, err := renameio.NewPendingFile(path, renameio.WithPermissions(0o755), renameio.WithStaticPermissions(0o755))
	if err != nil {
		return err
	}
	defer file.Cleanup()
	if err := copyProgram(file, r, program); err != nil {
		return err
	}
	return file.CloseAtomicallyReplace()
}

// KeyFolders hold the public keys that a card trusts: those of its image, and
// those that its owner put beside appliance.toml.
var KeyFolders = []string{"/etc/appliance/update.d", "/run/appliance-card/update.d"}

// Keys reads public keys: the *.pub files of folders, as minisign writes them.
func Keys(dirs ...string) ([]minisign.PublicKey, error) {
	var paths []string
	for _, dir := range dirs {
		found, err := filepath.Glob(filepath.Join(dir, "*.pub"))
		if err != nil {
			return nil, err
		}
		paths = append(paths, found...)
	}
	var keys []minisign.PublicKey
	for _, path := range paths {
		text, err := os.ReadFile(path)
		if err != nil {
			return nil, err
		}
		key, err := ParseKey(text)
		if err != nil {
			return nil, fmt.Errorf("%s is no minisign public key: %w", path, err)
		}
		keys = append(keys, key)
	}
	return keys, nil
}

// ParseKey reads a public key, as minisign writes it: an optional comment, and
// the key.
func ParseKey(text []byte) (key minisign.PublicKey, err error) {
	err = key.UnmarshalText(bytes.TrimSpace(bytes.ReplaceAll(text, []byte("\r\n"), []byte("\n"))))
	return key, err
}

// newer reports whether version a is a later one than b, as Debian compares
// what we call versions: by numbers, "~" before the end.
func newer(a, b string) bool { return compare(a, b) > 0 }

func compare(a, b string) int {
	for a != "" || b != "" {
		var wordA, wordB string
		wordA, a = cutWord(a)
		wordB, b = cutWord(b)
		if d := compareWords(wordA, wordB); d != 0 {
			return d
		}
		var numA, numB string
		numA, a = cutNumber(a)
		numB, b = cutNumber(b)
		if d := compareNumbers(numA, numB); d != 0 {
			return d
		}
	}
	return 0
}

func cutWord(s string) (word, rest string) {
	i := strings.IndexAny(s, "0123456789")
	if i < 0 {
		i = len(s)
	}
	return s[:i], s[i:]
}

func cutNumber(s string) (number, rest string) {
	rest = strings.TrimLeft(s, "0123456789")
	return strings.TrimLeft(s[:len(s)-len(rest)], "0"), rest
}

func compareNumbers(a, b string) int {
	if len(a) != len(b) {
		return len(a) - len(b)
	}
	return strings.Compare(a, b)
}

// compareWords orders "~" < end < letters < the rest.
func compareWords(a, b string) int {
	for i := range max(len(a), len(b)) {
		if d := weight(a, i) - weight(b, i); d != 0 {
			return d
		}
	}
	return 0
}

func weight(s string, i int) int {
	switch {
	case i >= len(s):
		return 0
	case s[i] == '~':
		return -1
	case s[i] >= 'A' && s[i] <= 'Z' || s[i] >= 'a' && s[i] <= 'z':
		return int(s[i])
	default:
		return int(s[i]) + 256
	}
}
