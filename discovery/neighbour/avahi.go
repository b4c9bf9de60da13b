package neighbour

import (
	"bufio"
	"bytes"
	"os"
	"strings"
)

// AvahiConfig is where avahi-daemon is configured.
const AvahiConfig = "/etc/avahi/avahi-daemon.conf"

// AvahiExclusive says whether the configuration at path has avahi-daemon keep
// the port of multicast DNS for itself: "disallow-other-stacks=yes".
func AvahiExclusive(path string) bool {
	b, err := os.ReadFile(path)
	if err != nil {
		return false // there is no Avahi, or it has its defaults
	}
	exclusive, section := false, ""
	for scan := bufio.NewScanner(bytes.NewReader(b)); scan.Scan(); {
		line := strings.TrimSpace(scan.Text())
		if strings.HasPrefix(line, "[") {
			section = line
		}
		key, value, _ := strings.Cut(line, "=")
		if section == "[server]" && strings.TrimSpace(key) == "disallow-other-stacks" {
			exclusive = strings.TrimSpace(value) == "yes"
		}
	}
	return exclusive
}
