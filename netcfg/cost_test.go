package netcfg

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// Once it has its lease it sleeps; sixty thousand packets that are none of its
// business (a third of them to the DHCP client's port, for another client) do
// not wake it, as the kernel filters them.
func TestCost(t *testing.T) {
	t.Parallel()
	n := newNetwork(t)
	n.dnsmasq()
	d := &device{t: t, ns: n.dev, state: t.TempDir()}
	d.run(Settings{Mode: ModeDHCP}, func(cmd *exec.Cmd) { cmd.Env = append(cmd.Env, "NETCFG_TEST_QUIET=1") })
	d.WaitOutput("the name is registered", 30*time.Second)
	time.Sleep(3 * time.Second) // the second announcement, and IPv6 finding its addresses

	before := costOf(t, d.PID())
	if before.cpu == 0 || before.wakeups == 0 {
		t.Fatalf("measured %v for a process that has worked", before)
	}
	var idle cost
	for range 5 { // on a busy machine the end of the start may come later
		before = costOf(t, d.PID())
		time.Sleep(2 * time.Second)
		if idle = costOf(t, d.PID()).minus(before); idle.wakeups <= 20 {
			break
		}
	}
	t.Logf("idle for 2 s: %v", idle)
	if idle.cpu > 20*time.Millisecond || idle.wakeups > 20 {
		t.Errorf("idle for 2 s it cost %v", idle)
	}

	before = costOf(t, d.PID())
	flood(t, n, 60000)
	flooded := costOf(t, d.PID()).minus(before)
	t.Logf("60,000 packets: %v", flooded)
	if flooded.cpu > 30*time.Millisecond {
		t.Errorf("60,000 packets cost %v", flooded)
	}
}

type cost struct {
	cpu     time.Duration
	wakeups int
}

func (c cost) minus(other cost) cost { return cost{c.cpu - other.cpu, c.wakeups - other.wakeups} }
func (c cost) String() string        { return fmt.Sprintf("%v of CPU, %d wake-ups", c.cpu, c.wakeups) }

// costOf reads what a process has used so far: CPU time by the clock of the
// scheduler (fields 1 of schedstat), and how often its threads were woken.
func costOf(t *testing.T, pid int) (c cost) {
	t.Helper()
	tasks := fmt.Sprintf("/proc/%d/task", pid)
	threads, err := os.ReadDir(tasks)
	if err != nil {
		t.Fatal(err)
	}
	for _, thread := range threads {
		stat, _ := os.ReadFile(tasks + "/" + thread.Name() + "/schedstat")
		if fields := strings.Fields(string(stat)); len(fields) > 0 {
			ns, _ := strconv.Atoi(fields[0])
			c.cpu += time.Duration(ns)
		}
		status, _ := os.ReadFile(tasks + "/" + thread.Name() + "/status")
		for line := range strings.Lines(string(status)) {
			if value, ok := strings.CutPrefix(line, "voluntary_ctxt_switches:"); ok {
				count, _ := strconv.Atoi(strings.TrimSpace(value))
				c.wakeups += count
			}
		}
	}
	return c
}

// flood sends broadcasts that concern nobody.
func flood(t *testing.T, n *network, count int) {
	t.Helper()
	config := net.ListenConfig{Control: func(_, _ string, raw syscall.RawConn) error {
		return raw.Control(func(fd uintptr) { _ = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_BROADCAST, 1) })
	}}
	var conn net.PacketConn
	n.lan.Do(func() {
		var err error
		if conn, err = config.ListenPacket(context.Background(), "udp4", "10.82.1.1:6767"); err != nil {
			t.Fatal(err)
		}
	})
	defer conn.Close()
	foreign := make([]byte, 300)
	copy(foreign, []byte{2, 1, 6, 0})
	copy(foreign[28:], []byte{2, 0, 0, 0, 0, 9})
	for i := range count {
		port := 9999
		if i%3 == 0 {
			port = 68
		}
		if _, err := conn.WriteTo(foreign, &net.UDPAddr{IP: net.IPv4(10, 82, 1, 255), Port: port}); err != nil {
			t.Fatal(err)
		}
	}
}
