package neighbour

import (
	"context"
	"fmt"
	"os"

	"github.com/godbus/dbus/v5"

	"server22.local/appliance/discovery"
)

// Names on the message bus.
const (
	resolvedService = "org.freedesktop.resolve1"
	resolvedManager = resolvedService + ".Manager"
	resolvedLink    = resolvedService + ".Link"
)

// Resolved is what systemd-resolved answers by itself, beyond resolving names:
// the names of interfaces on which it does. Its settings know three values, of
// which only "yes" has it answer.
type Resolved struct {
	MulticastDNS []string
	LLMNR        []string
}

// FindResolved asks the systemd-resolved of this network namespace over the
// message bus at an address, "" for the system's. Where there is none, or no
// bus, it answers nothing.
func FindResolved(ctx context.Context, bus string, interfaces []discovery.Interface) (r Resolved) {
	conn, err := Bus(ctx, bus)
	if err != nil {
		return r
	}
	defer conn.Close()
	if !OnBus(ctx, conn, resolvedService) {
		return r
	}
	manager := conn.Object(resolvedService, "/org/freedesktop/resolve1")
	for _, protocol := range []struct {
		name string
		on   *[]string
	}{{"MulticastDNS", &r.MulticastDNS}, {"LLMNR", &r.LLMNR}} {
		if !answers(ctx, manager, resolvedManager+"."+protocol.name) {
			continue
		}
		for _, ifi := range interfaces {
			var path dbus.ObjectPath
			err := manager.CallWithContext(ctx, resolvedManager+".GetLink", 0, int32(ifi.Index)).Store(&path)
			if err == nil && answers(ctx, conn.Object(resolvedService, path), resolvedLink+"."+protocol.name) {
				*protocol.on = append(*protocol.on, ifi.Name)
			}
		}
	}
	return r
}

func answers(ctx context.Context, object dbus.BusObject, property string) bool {
	var value string
	err := object.StoreProperty(property, &value)
	return err == nil && ctx.Err() == nil && value == "yes"
}

// Bus connects to the message bus at an address, "" for the system's.
func Bus(ctx context.Context, address string) (*dbus.Conn, error) {
	options := []dbus.ConnOption{dbus.WithContext(ctx), dbus.WithSignalHandler(dbus.NewSequentialSignalHandler())}
	connect := dbus.ConnectSystemBus
	if address != "" {
		connect = func(options ...dbus.ConnOption) (*dbus.Conn, error) { return dbus.Connect(address, options...) }
	}
	conn, err := connect(options...)
	if err != nil {
		return nil, fmt.Errorf("connecting to the message bus: %w", err)
	}
	return conn, nil
}

// OnBus says whether the owner of a name on the bus is in our network
// namespace. It does not start one.
func OnBus(ctx context.Context, conn *dbus.Conn, service string) bool {
	var pid uint32
	err := conn.BusObject().CallWithContext(ctx, "org.freedesktop.DBus.GetConnectionUnixProcessID", 0, service).Store(&pid)
	return err == nil && SameNetwork(pid)
}

// SameNetwork says whether a process is in our network namespace. Without the
// right to see that of another user's process, a port of multicast DNS that is
// taken in ours tells.
func SameNetwork(pid uint32) bool {
	own, err := os.Readlink("/proc/self/ns/net")
	if err != nil {
		return false
	}
	other, err := os.Readlink(fmt.Sprintf("/proc/%d/ns/net", pid))
	if err == nil {
		return own == other
	}
	used, err := discovery.PortInUse()
	return used && err == nil
}
