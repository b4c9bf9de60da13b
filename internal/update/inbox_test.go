package update

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"aead.dev/minisign"
)

func TestInboxLeavesWhatTheRootHelperTakes(t *testing.T) {
	s := newSigner(t)
	u := device(t, s.public)
	in := &Inbox{Dir: filepath.Join(t.TempDir(), "update"), Keys: u.Keys, Arch: u.Arch, Running: u.Running}
	bundle, err := os.ReadFile(s.bundle(t, "1.1"))
	if err != nil {
		t.Fatal(err)
	}
	m, err := in.Receive(bytes.NewReader(bundle))
	if err != nil || m.Version != "1.1" || !in.Waiting() {
		t.Fatalf("Receive = %+v, %v; waiting %v", m, err, in.Waiting())
	}
	if _, err := in.Receive(bytes.NewReader(bundle)); !errors.Is(err, ErrBusy) {
		t.Errorf("a second one: %v", err)
	}
	if _, err := u.Apply(t.Context(), in.Request()); err != nil || u.runs(t) != "1.1" {
		t.Errorf("the root helper: %v; %s runs", err, u.runs(t))
	}
}

func TestInboxRefusesAtOnce(t *testing.T) {
	s, stranger := newSigner(t), newSigner(t)
	dir := t.TempDir()
	in := &Inbox{Dir: dir, Keys: []minisign.PublicKey{s.public}, Arch: "arm64", Running: "1.0"}
	for name, path := range map[string]string{
		"a stranger's":     stranger.bundle(t, "1.1"),
		"an older one":     s.bundle(t, "0.9"),
		"a damaged one":    edit(t, s.bundle(t, "1.1"), func(b []byte) []byte { return bytes.ReplaceAll(b, []byte("#!/bin/sh"), []byte("#!/bin/ba")) }),
		"one cut short":    edit(t, s.bundle(t, "1.1"), func(b []byte) []byte { return b[:2600] }),
		"no bundle at all": edit(t, s.bundle(t, "1.1"), func([]byte) []byte { return nil }),
	} {
		file, err := os.Open(path)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := in.Receive(file); err == nil || in.Waiting() {
			t.Errorf("%s was taken (%v)", name, err)
		}
		file.Close()
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
		t.Errorf("what is left: %v, %v", left, err)
	}
	other := *in
	other.Arch = "riscv64"
	file, err := os.Open(s.bundle(t, "1.1"))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	if _, err := other.Receive(file); err == nil {
		t.Error("another processor's was taken")
	}
}
