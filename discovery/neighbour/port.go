package neighbour

import (
	"bufio"
	"bytes"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// Ports of the protocols for names.
const (
	MulticastDNS uint16 = 5353 // RFC 6762
	LLMNR        uint16 = 5355 // RFC 4795
	NetBIOS      uint16 = 137  // RFC 1002
)

// A Holder is a socket of another program that is bound to a port on all
// addresses.
type Holder struct {
	Port    uint16
	Network string // "udp" or "tcp"
	// Program is its name, or "" where that is not ours to know.
	Program string

	inode string
}

// Holders lists the sockets of other programs, in this network namespace, that
// are bound to one of the ports on all addresses. Who is bound to one address
// only, as the responders of this module are, is in nobody's way.
func Holders(ports ...uint16) ([]Holder, error) {
	var list []Holder
	for _, table := range []string{"udp", "udp6", "tcp", "tcp6"} {
		b, err := os.ReadFile("/proc/thread-self/net/" + table)
		if os.IsNotExist(err) {
			continue // the kernel has no IPv6
		}
		if err != nil {
			return nil, fmt.Errorf("listing sockets: %w", err)
		}
		list = append(list, listed(b, table[:3], ports)...)
	}
	return foreign(list), nil
}

// listed finds wildcard sockets in a table of the kernel: the second column is
// the local address, the third the remote one, the tenth the inode.
func listed(table []byte, network string, ports []uint16) (list []Holder) {
	for scan := bufio.NewScanner(bytes.NewReader(table)); scan.Scan(); {
		fields := strings.Fields(scan.Text())
		if len(fields) < 10 {
			continue
		}
		addr, hex, ok := strings.Cut(fields[1], ":")
		port, err := strconv.ParseUint(hex, 16, 16)
		if !ok || err != nil || strings.Trim(addr, "0") != "" || !strings.HasSuffix(fields[2], ":0000") {
			continue
		}
		if slices.Contains(ports, uint16(port)) {
			list = append(list, Holder{Port: uint16(port), Network: network, inode: fields[9]})
		}
	}
	return list
}

// foreign gives the sockets the names of their programs, and leaves out those
// of this process and those that are there twice, once for each family.
func foreign(list []Holder) []Holder {
	if len(list) == 0 {
		return nil
	}
	inodes := make(map[string]*Holder)
	for i := range list {
		inodes["socket:["+list[i].inode+"]"] = &list[i]
	}
	own := make(map[string]bool)
	processes, _ := filepath.Glob("/proc/[0-9]*")
	for _, process := range processes {
		mine := filepath.Base(process) == strconv.Itoa(os.Getpid())
		for _, socket := range socketsOf(process) {
			if h := inodes[socket]; h != nil {
				h.Program = programOf(process)
				own[h.inode] = own[h.inode] || mine
			}
		}
	}
	list = slices.DeleteFunc(list, func(h Holder) bool { return own[h.inode] })
	for i := range list {
		list[i].inode = ""
	}
	slices.SortFunc(list, func(a, b Holder) int { return strings.Compare(fmt.Sprint(a), fmt.Sprint(b)) })
	return slices.Compact(list)
}

// socketsOf are the sockets of a process, none if we may not know.
func socketsOf(process string) (sockets []string) {
	dir := filepath.Join(process, "fd")
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil // it has ended, or is another user's
	}
	for _, e := range entries {
		if e.Type()&fs.ModeSymlink == 0 {
			continue
		}
		if target, err := os.Readlink(filepath.Join(dir, e.Name())); err == nil && strings.HasPrefix(target, "socket:") {
			sockets = append(sockets, target)
		}
	}
	return sockets
}

func programOf(process string) string {
	b, _ := os.ReadFile(filepath.Join(process, "comm"))
	// The kernel keeps 15 bytes of a name.
	if name := strings.TrimSpace(string(b)); name != "systemd-resolve" {
		return name
	}
	return "systemd-resolved"
}
