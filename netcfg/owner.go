package netcfg

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/godbus/dbus/v5"
)

// Owner is another program that configures a link.
type Owner struct {
	// Name is "NetworkManager", "systemd-networkd", "dhcpcd", "ifupdown" or
	// "DHCP client".
	Name string `json:"name"`
	// Evidence is how we know, as a sentence.
	Evidence string `json:"evidence"`
	// HandOver is what an administrator does to give the link to us, as a text
	// of several lines.
	HandOver string `json:"hand_over"`
}

// OwnerFinder looks for the owners of links. The zero value looks at the
// running system.
type OwnerFinder struct {
	// Root is the folder that the paths below begin at; "" is "/".
	Root string
	// Bus is the address of the system's D-Bus; "" is the usual one.
	Bus string

	// configures says that this process is the one that configures. To others a
	// DHCP client on an address that carries our mark is that one's.
	configures bool
}

// Find says who configures a link, and false if nobody does whom we know. It
// takes milliseconds, and three seconds at most where D-Bus hangs.
func (f OwnerFinder) Find(ctx context.Context, snapshot *Snapshot, link Link) (Owner, bool) {
	ctx, cancel := context.WithTimeout(ctx, 3*time.Second)
	defer cancel()
	for _, find := range []func(context.Context, *Snapshot, Link) (name, evidence string){
		f.networkManager, f.networkd, f.dhcpcd, f.ifupdown, f.dhcpClient,
	} {
		if name, evidence := find(ctx, snapshot, link); name != "" {
			return Owner{Name: name, Evidence: evidence, HandOver: handOver(name, link.Name)}, true
		}
	}
	return Owner{}, false
}

// networkManager asks NetworkManager on D-Bus whether it manages the link.
func (f OwnerFinder) networkManager(ctx context.Context, _ *Snapshot, link Link) (name, evidence string) {
	bus, err := f.connect(ctx)
	if err != nil {
		return "", ""
	}
	defer bus.Close()
	const service = "org.freedesktop.NetworkManager"
	if !serviceIsHere(ctx, bus, service) {
		return "", ""
	}
	var path dbus.ObjectPath
	manager := bus.Object(service, "/org/freedesktop/NetworkManager")
	if err := manager.CallWithContext(ctx, service+".GetDeviceByIpIface", 0, link.Name).Store(&path); err != nil {
		return "", ""
	}
	device := bus.Object(service, path)
	var managed, address dbus.Variant
	const get = "org.freedesktop.DBus.Properties.Get"
	if err := device.CallWithContext(ctx, get, 0, service+".Device", "Managed").Store(&managed); err != nil {
		return "", ""
	}
	if err := device.CallWithContext(ctx, get, 0, service+".Device", "HwAddress").Store(&address); err != nil {
		return "", ""
	}
	if managed.Value() != true {
		return "", ""
	}
	if hw, ok := address.Value().(string); ok && hw != "" && !strings.EqualFold(hw, link.MAC.String()) {
		return "", "" // a link of the same name in another network namespace
	}
	return "NetworkManager", "NetworkManager says on D-Bus that it manages " + link.Name
}

func (f OwnerFinder) connect(ctx context.Context) (*dbus.Conn, error) {
	if f.Bus != "" {
		return dbus.Connect(f.Bus, dbus.WithContext(ctx))
	}
	return dbus.ConnectSystemBus(dbus.WithContext(ctx))
}

// serviceIsHere says whether a service is on the bus, and in our network
// namespace as far as that can be told.
func serviceIsHere(ctx context.Context, bus *dbus.Conn, service string) bool {
	var owned bool
	if err := bus.BusObject().CallWithContext(ctx, "org.freedesktop.DBus.NameHasOwner", 0, service).Store(&owned); err != nil || !owned {
		return false
	}
	var pid uint32
	if err := bus.BusObject().CallWithContext(ctx, "org.freedesktop.DBus.GetConnectionUnixProcessID", 0, service).Store(&pid); err != nil {
		return true
	}
	return sharesNetwork(int(pid))
}

// sharesNetwork says whether a process is in our network namespace. The link
// that tells may be read of another user's process only with a privilege; what
// is in the namespace may be read by all, and differs by addresses that begin
// with hardware addresses. Where neither can be read the answer is yes.
func sharesNetwork(pid int) bool {
	theirs, err := os.Readlink(fmt.Sprintf("/proc/%d/ns/net", pid))
	if ours, ourErr := os.Readlink("/proc/thread-self/ns/net"); err == nil && ourErr == nil {
		return theirs == ours
	}
	for _, file := range []string{"if_inet6", "dev_mcast"} {
		theirs, err := os.ReadFile(fmt.Sprintf("/proc/%d/net/%s", pid, file))
		ours, ourErr := os.ReadFile("/proc/thread-self/net/" + file)
		if err == nil && ourErr == nil && !bytes.Equal(theirs, ours) {
			return false
		}
	}
	return true
}

// networkd reads the state that systemd-networkd keeps of each link.
func (f OwnerFinder) networkd(ctx context.Context, _ *Snapshot, link Link) (name, evidence string) {
	path := fmt.Sprintf("/run/systemd/netif/links/%d", link.Index)
	state, err := os.ReadFile(filepath.Join(f.Root, path))
	if err != nil {
		return "", ""
	}
	admin := regexp.MustCompile(`(?m)^ADMIN_STATE=(\w+)$`).FindSubmatch(state)
	if admin == nil || !slices.Contains([]string{"configuring", "configured", "failed"}, string(admin[1])) {
		return "", ""
	}
	// The files stay when networkd is stopped, and carry only an index.
	if bus, err := f.connect(ctx); err == nil {
		defer bus.Close()
		if !serviceIsHere(ctx, bus, "org.freedesktop.network1") {
			return "", ""
		}
	} else if !sharesNetwork(1) {
		return "", ""
	}
	return "systemd-networkd", fmt.Sprintf("%s says ADMIN_STATE=%s", path, admin[1])
}

// dhcpcd looks for a running dhcpcd, for all links or for this one, that has
// not been told to leave the link alone.
func (f OwnerFinder) dhcpcd(_ context.Context, _ *Snapshot, link Link) (name, evidence string) {
	for _, path := range []string{
		"/run/dhcpcd/pid", "/run/dhcpcd/" + link.Name + ".pid", // dhcpcd 9 and later
		"/run/dhcpcd.pid", "/run/dhcpcd-" + link.Name + ".pid",
	} {
		if pid := f.runningPID(path, "dhcpcd"); pid == 0 || !sharesNetwork(pid) {
			continue
		}
		if f.dhcpcdDenies(link.Name) {
			continue
		}
		return "dhcpcd", "dhcpcd is running (" + path + ")"
	}
	return "", ""
}

// runningPID reads a process id file and checks that the process is there, by
// its name.
func (f OwnerFinder) runningPID(path, name string) int {
	data, err := os.ReadFile(filepath.Join(f.Root, path))
	if err != nil {
		return 0
	}
	pid, err := strconv.Atoi(string(bytes.TrimSpace(data)))
	if err != nil || pid <= 0 {
		return 0
	}
	comm, err := os.ReadFile(filepath.Join(f.Root, "/proc", strconv.Itoa(pid), "comm"))
	if err != nil || !strings.HasPrefix(string(comm), name) {
		return 0
	}
	return pid
}

func (f OwnerFinder) dhcpcdDenies(link string) bool {
	conf, err := os.ReadFile(filepath.Join(f.Root, "/etc/dhcpcd.conf"))
	if err != nil {
		return false
	}
	for line := range strings.Lines(string(conf)) {
		fields := strings.Fields(line)
		if len(fields) < 2 || fields[0] != "denyinterfaces" {
			continue
		}
		for _, pattern := range fields[1:] {
			if ok, err := filepath.Match(pattern, link); err == nil && ok {
				return true
			}
		}
	}
	return false
}

// ifupdown reads which links ifup has brought up.
func (f OwnerFinder) ifupdown(_ context.Context, _ *Snapshot, link Link) (name, evidence string) {
	const path = "/run/network/ifstate"
	state, err := os.ReadFile(filepath.Join(f.Root, path))
	if err != nil || !sharesNetwork(1) {
		return "", ""
	}
	for line := range strings.Lines(string(state)) {
		if up, _, _ := strings.Cut(strings.TrimSpace(line), "="); up == link.Name {
			return "ifupdown", path + " names " + link.Name
		}
	}
	return "", ""
}
