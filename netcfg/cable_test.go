package netcfg

import (
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"server22.local/appliance/internal/netnstest"
)

// What a sniffer sees of a lease of eight seconds: three probes before the
// address is used, two announcements two seconds apart, a renewal, and never a
// complaint of the kernel about the answers.
func TestOnTheCable(t *testing.T) {
	t.Parallel()
	n := newNetwork(t)
	n.script(leaseFor("10.82.1.22", 8))
	sniffer := n.lan.Daemon("tcpdump", "-l", "-n", "-tt", "-e", "-i", "port0", "arp or icmp or udp port 67")
	sniffer.WaitOutput("listening on port0", soon)
	d := n.start(Settings{Mode: ModeDHCP})
	d.has("10.82.1.22/24", soon)
	netnstest.Eventually(t, 10*time.Second, "a renewal to be seen", func() bool {
		return strings.Contains(sniffer.Output(), "10.82.1.22.68 > 10.82.1.1.67")
	})
	time.Sleep(300 * time.Millisecond) // for the kernel to complain about the answer
	frames := sniffer.Output()

	mine := regexp.MustCompile(`(?m)^([0-9.]+) `+deviceMAC+` > (\S+), .*?: (.*)$`).FindAllStringSubmatch(frames, -1)
	var probes, announcements, used []float64
	for _, frame := range mine {
		at, _ := strconv.ParseFloat(frame[1], 64)
		switch {
		case strings.Contains(frame[3], "who-has 10.82.1.22 tell 0.0.0.0"):
			probes = append(probes, at)
		case strings.Contains(frame[3], "Announcement 10.82.1.22") || strings.Contains(frame[3], "who-has 10.82.1.22 tell 10.82.1.22"):
			announcements = append(announcements, at)
		case strings.Contains(frame[3], "tell 10.82.1.22"):
			used = append(used, at)
		}
	}
	if len(probes) != 3 || len(announcements) != 2 {
		t.Fatalf("%d probes, %d announcements in\n%s", len(probes), len(announcements), frames)
	}
	// The upper limits allow for a machine that has other things to do.
	if gap := announcements[1] - announcements[0]; gap < 1.9 || gap > 4 {
		t.Errorf("the announcements are %.2f s apart", gap)
	}
	if check := announcements[0] - probes[0]; check < 0.12 || check > 2 {
		t.Errorf("from the first probe to the first announcement it took %.3f s", check)
	}
	for _, at := range used {
		if at < probes[2] {
			t.Error("the address was used before it was checked")
		}
	}
	if strings.Contains(frames, "ICMP") {
		t.Errorf("the kernel complained:\n%s", frames)
	}
}
