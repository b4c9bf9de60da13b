package store

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"server22.local/appliance/internal/need"
	"server22.local/appliance/realtime/history"
)

// writerEnv makes the test binary a process that appends to the store in the
// folder that it names, and prints the number of each message once that is
// acknowledged. It is there to be killed.
const writerEnv = "STORE_TEST_WRITE_IN"

func writeUntilKilled(dir string) int {
	s, err := Open(context.Background(), Config{Path: filepath.Join(dir, "store.db"), Logs: map[string]LogConfig{"chat": {Text: dataText}}})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	go func() { _ = s.Run(context.Background()) }()
	tickets := make(chan struct{}, 16) // as many as sixteen clients that wait for their ack
	for i := 1; ; i++ {
		tickets <- struct{}{}
		s.Log("chat").Append(history.Message{Channel: "lobby", Time: time.Now(), Key: strconv.Itoa(i), Data: fmt.Appendf(nil, "message %d", i)},
			func(r history.Receipt, err error) {
				if err != nil || r.Seq != uint64(i) {
					fmt.Fprintln(os.Stderr, i, r, err)
					os.Exit(1)
				}
				fmt.Println(i)
				<-tickets
			})
	}
}

// writeIn starts such a process, and calls stop once it has acknowledged n.
// It returns the last number that it acknowledged at all.
func writeIn(t *testing.T, dir string, n int, stop func(*os.Process)) int {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(exe)
	cmd.Env = append(os.Environ(), writerEnv+"="+dir)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	last := 0
	lines := bufio.NewReader(out)
	for {
		line, err := lines.ReadString('\n')
		if err != nil {
			if !errors.Is(err, io.EOF) {
				t.Log(err)
			}
			break
		}
		if last, err = strconv.Atoi(strings.TrimSpace(line)); err != nil {
			t.Fatal(err)
		}
		if last == n {
			stop(cmd.Process)
		}
	}
	_ = cmd.Wait() // it was killed
	if last < n {
		t.Fatalf("the writer ended after %d messages", last)
	}
	return last
}

// whole checks that a store has every message from 1 to at least acked once.
func whole(t *testing.T, dir string, acked int) {
	t.Helper()
	s, stop := open(t, Config{Path: filepath.Join(dir, "store.db")})
	defer stop()
	got, err := s.Log("chat").Read(t.Context(), history.Query{Channel: "lobby"})
	if err != nil {
		t.Fatal(err)
	}
	for i, m := range got {
		if m.Seq != uint64(i+1) || string(m.Data) != fmt.Sprintf("message %d", i+1) {
			t.Fatalf("message %d is %d: %q", i+1, m.Seq, m.Data)
		}
	}
	if len(got) < acked {
		t.Errorf("%d messages were acknowledged, %d are there", acked, len(got))
	}
	// The index has them, too.
	found, err := s.Log("chat").Search(t.Context(), []string{"lobby"}, "message", 1<<20)
	if err != nil || len(found) != len(got) {
		t.Errorf("the index finds %d of %d, %v", len(found), len(got), err)
	}
}

func kill(p *os.Process) { _ = p.Kill() }

func TestKill(t *testing.T) {
	if testing.Short() {
		t.Skip("starts this test binary again, which an emulator cannot")
	}
	for _, n := range []int{1, 500, 1500} {
		dir := t.TempDir()
		whole(t, dir, writeIn(t, dir, n, kill))
	}
}

// loop makes a disk of a file with an ext4 file system, mounts it, and returns
// the file and the folder.
func loop(t *testing.T, megabytes int64) (image, folder string) {
	t.Helper()
	need.Root(t)
	need.Command(t, "mke2fs", "losetup", "mount", "umount")
	dir := t.TempDir()
	image = filepath.Join(dir, "disk.img")
	if err := os.WriteFile(image, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(image, megabytes<<20); err != nil {
		t.Fatal(err)
	}
	run(t, "mke2fs", "-q", "-F", "-t", "ext4", image)
	return image, mount(t, image)
}

func mount(t *testing.T, image string) string {
	t.Helper()
	folder := filepath.Join(t.TempDir(), "mnt")
	if err := os.Mkdir(folder, 0o700); err != nil {
		t.Fatal(err)
	}
	run(t, "mount", "-o", "loop,noatime", image, folder)
	t.Cleanup(func() { run(t, "umount", folder) })
	return folder
}

func run(t *testing.T, name string, args ...string) {
	t.Helper()
	if out, err := exec.Command(name, args...).CombinedOutput(); err != nil {
		t.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, out)
	}
}

// TestPowerCut cuts the power: it copies the disk beneath the file system
// while the writer stands still, so that nothing that is only in memory comes
// with it, and looks what is on the copy.
func TestPowerCut(t *testing.T) {
	image, folder := loop(t, 64)
	cut := filepath.Join(t.TempDir(), "cut.img")
	acked := writeIn(t, folder, 700, func(p *os.Process) {
		_ = p.Signal(syscall.SIGSTOP)
		run(t, "cp", "--sparse=always", image, cut)
		_ = p.Kill()
	})
	// The pipe may still have held numbers that were acknowledged after the
	// 700th, before the process was stopped: they count as well.
	whole(t, mount(t, cut), acked)
}

// TestFullDisk fills the disk: what cannot be stored is refused and said, and
// nothing that was acknowledged is lost.
func TestFullDisk(t *testing.T) {
	_, folder := loop(t, 16)
	faults := make(chan error, 100)
	s, stop := open(t, Config{Path: filepath.Join(folder, "store.db"), OnFault: func(err error) { faults <- err }})
	chat := s.Log("chat")
	const before = 100
	for i := range before {
		say(t, chat, history.Message{Channel: "lobby", Data: fmt.Appendf(nil, "message %d", i+1)})
	}
	ballast := filepath.Join(folder, "ballast")
	fill(t, ballast)
	acked := before
	var refused error
	for refused == nil {
		if _, refused = try(chat, history.Message{Channel: "lobby", Data: fmt.Appendf(nil, "message %d", acked+1)}); refused == nil {
			acked++
		}
		if acked > 1<<20 {
			t.Fatal("a full disk takes everything")
		}
	}
	if !errors.Is(refused, history.ErrFull) || !errors.Is(<-faults, history.ErrFull) {
		t.Errorf("the refusal is %v", refused)
	}
	if got := len(readAll(t, chat, history.Query{Channel: "lobby"})); got != acked {
		t.Errorf("%d messages can be read of a full disk; %d were acknowledged", got, acked)
	}
	if _, err := chat.Search(t.Context(), []string{"lobby"}, "message", 10); err != nil {
		t.Errorf("searching on a full disk: %v", err)
	}
	if err := os.Remove(ballast); err != nil {
		t.Fatal(err)
	}
	// It notices by itself, though nobody writes.
	for fault := errors.New("full"); fault != nil; {
		select {
		case fault = <-faults:
		case <-time.After(10 * time.Second):
			t.Fatal("with space again the store says nothing")
		}
	}
	acked++
	if r := say(t, chat, history.Message{Channel: "lobby", Data: fmt.Appendf(nil, "message %d", acked)}); r.Seq != uint64(acked) {
		t.Errorf("after the refusals the next number is %d; want %d", r.Seq, acked)
	}
	stop()
	whole(t, folder, acked)
}

func fill(t *testing.T, path string) {
	t.Helper()
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	block := make([]byte, 4096)
	for {
		if _, err := f.Write(block); err != nil {
			if errors.Is(err, syscall.ENOSPC) {
				return
			}
			t.Fatal(err)
		}
	}
}
