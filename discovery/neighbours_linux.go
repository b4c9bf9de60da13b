package discovery

import (
	"bufio"
	"bytes"
	"fmt"
	"os"
	"strings"
)

// PortInUse says whether another socket of this host, in this network
// namespace, is bound to the port of multicast DNS on all addresses, as those
// of Avahi and of systemd-resolved are: ask before [Responder.Run]. It does not
// say whose socket it is; browsers of services have such too.
func PortInUse() (bool, error) {
	for _, table := range []string{"udp", "udp6"} {
		b, err := os.ReadFile("/proc/thread-self/net/" + table)
		if err != nil {
			if os.IsNotExist(err) && table == "udp6" {
				continue // the kernel has no IPv6
			}
			return false, fmt.Errorf("listing sockets: %w", err)
		}
		if wildcardListed(b) {
			return true, nil
		}
	}
	return false, nil
}

// wildcardListed looks for the wildcard address with port 5353 (0x14E9) in a
// table of sockets, whose second column is the local address.
func wildcardListed(table []byte) bool {
	for scan := bufio.NewScanner(bytes.NewReader(table)); scan.Scan(); {
		fields := strings.Fields(scan.Text())
		if len(fields) < 2 {
			continue
		}
		if addr, ok := strings.CutSuffix(fields[1], ":14E9"); ok && strings.Trim(addr, "0") == "" {
			return true
		}
	}
	return false
}
