package netcfg

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"maps"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// dhcpClient looks for a DHCP client that is none of the managers: by the routes
// that it has made, by its name among the programs, and by its sockets, which is
// all that can be seen where other users' programs are hidden.
func (f OwnerFinder) dhcpClient(ctx context.Context, snapshot *Snapshot, link Link) (name, evidence string) {
	for _, find := range []func(context.Context, *Snapshot, Link) string{f.dhcpRoute, f.dhcpProgram, f.dhcpSocket} {
		if evidence := find(ctx, snapshot, link); evidence != "" {
			return "DHCP client", evidence
		}
	}
	return "", ""
}

// dhcpRoute looks for a route that a DHCP client has marked as its own.
func (f OwnerFinder) dhcpRoute(_ context.Context, snapshot *Snapshot, link Link) string {
	for _, route := range snapshot.RoutesOf(link.Index) {
		if route.Protocol == unix.RTPROT_DHCP {
			return fmt.Sprintf("the route to %s was made by a DHCP client", route.Dst)
		}
	}
	return ""
}

// dhcpPrograms are clients that serve the links of their command line. Those of
// value true serve all links if there is none.
var dhcpPrograms = map[string]bool{"dhclient": true, "dhcpcd": true, "udhcpc": false, "pump": false}

// dhcpProgram looks for a client among the running programs.
func (f OwnerFinder) dhcpProgram(_ context.Context, snapshot *Snapshot, link Link) string {
	programs, _ := filepath.Glob(filepath.Join(f.Root, "/proc/[0-9]*/comm"))
	for _, path := range programs {
		comm, err := os.ReadFile(path)
		if err != nil {
			continue // it has ended
		}
		program := string(bytes.TrimSpace(comm))
		if _, known := dhcpPrograms[program]; !known && program != "busybox" {
			continue
		}
		text, _ := os.ReadFile(filepath.Join(filepath.Dir(path), "cmdline"))
		line := strings.Split(strings.TrimRight(string(text), "\x00"), "\x00")
		if program == "busybox" && len(line) > 1 {
			program, line = line[1], line[1:]
		}
		pid, _ := strconv.Atoi(filepath.Base(filepath.Dir(path)))
		if servesLink(program, line[1:], snapshot, link) && sharesNetwork(pid) && !(program == "dhcpcd" && f.dhcpcdDenies(link.Name)) {
			return fmt.Sprintf("%s is running (process %d)", program, pid)
		}
	}
	return ""
}

// servesLink says whether a client with these arguments serves a link.
func servesLink(program string, args []string, snapshot *Snapshot, link Link) bool {
	all, known := dhcpPrograms[program]
	if !known || slices.Contains(args, "-6") {
		return false
	}
	named := false
	for _, arg := range args {
		l, ok := snapshot.Link(strings.TrimPrefix(arg, "-i")) // "-i eth0" and "-ieth0"
		if ok && l.Index == link.Index {
			return true
		}
		named = named || ok
	}
	return !named && (all || link.Name == "eth0") // which is udhcpc's default
}

// procSocket is a line of /proc/net/udp or /proc/net/packet.
type procSocket struct {
	uid, inode string
	addr       netip.Addr // of UDP
	port       uint16
	link       int // of a packet socket, 0 for all
	protocol   string
}

// dhcpSocket looks for somebody else's socket on the client's port: bound to an
// address of the link, or to none by a user who also listens to the packets of
// the link, as clients do. To a process that only looks, the client of a link
// that carries our mark is that of our process which configures it.
func (f OwnerFinder) dhcpSocket(_ context.Context, _ *Snapshot, link Link) string {
	if !f.configures && link.marked() {
		return ""
	}
	own := f.ownSockets()
	ports, packets := f.procSockets("udp", parseUDPSocket), f.procSockets("packet", parsePacketSocket)
	maps.Copy(own, f.ownSockets()) // one of ours may have been opened in between
	listens := func(uid string) bool {
		const all, ipv4 = "0003", "0800" // ETH_P_ALL, ETH_P_IP
		return slices.ContainsFunc(packets, func(s procSocket) bool {
			return s.link == link.Index && s.uid == uid && !own[s.inode] && (s.protocol == all || s.protocol == ipv4)
		})
	}
	for _, s := range ports {
		if s.port != dhcpClientPort || own[s.inode] {
			continue
		}
		onLink := slices.ContainsFunc(link.Addrs, func(a Addr) bool { return a.Prefix.Addr() == s.addr })
		if onLink || s.addr.IsUnspecified() && listens(s.uid) {
			return fmt.Sprintf("a program of user %s holds UDP port %d", s.uid, dhcpClientPort)
		}
	}
	return ""
}

const dhcpClientPort = 68

// ownSockets are the inodes of our process.
func (f OwnerFinder) ownSockets() map[string]bool {
	own := map[string]bool{}
	dir := filepath.Join(f.Root, "/proc/self/fd")
	entries, _ := os.ReadDir(dir)
	for _, entry := range entries {
		target, err := os.Readlink(filepath.Join(dir, entry.Name()))
		if inode, ok := strings.CutPrefix(target, "socket:["); err == nil && ok {
			own[strings.TrimSuffix(inode, "]")] = true
		}
	}
	return own
}

func (f OwnerFinder) procSockets(kind string, parse func([]string) (procSocket, bool)) []procSocket {
	text, err := os.ReadFile(filepath.Join(f.Root, "/proc/self/net", kind))
	if err != nil {
		return nil
	}
	var list []procSocket
	for line := range strings.Lines(string(text)) {
		if s, ok := parse(strings.Fields(line)); ok {
			list = append(list, s)
		}
	}
	return list
}

// parseUDPSocket reads "sl local remote st queues timer retransmits uid timeout
// inode ...", where local is the address in the machine's byte order and the
// port.
func parseUDPSocket(fields []string) (procSocket, bool) {
	if len(fields) < 10 {
		return procSocket{}, false
	}
	addr, port, _ := strings.Cut(fields[1], ":")
	a, err := strconv.ParseUint(addr, 16, 32)
	if err != nil {
		return procSocket{}, false // the heading
	}
	p, err := strconv.ParseUint(port, 16, 16)
	if err != nil {
		return procSocket{}, false
	}
	var b [4]byte
	binary.NativeEndian.PutUint32(b[:], uint32(a))
	return procSocket{uid: fields[7], inode: fields[9], addr: netip.AddrFrom4(b), port: uint16(p)}, true
}

// parsePacketSocket reads "sk refs type protocol link running memory uid inode".
func parsePacketSocket(fields []string) (procSocket, bool) {
	if len(fields) < 9 {
		return procSocket{}, false
	}
	link, err := strconv.Atoi(fields[4])
	if err != nil {
		return procSocket{}, false // the heading
	}
	return procSocket{uid: fields[7], inode: fields[8], link: link, protocol: fields[3]}, true
}
