package avahi

import (
	"context"
	"fmt"
	"os"
	"time"

	"github.com/godbus/dbus/v5"

	"server22.local/appliance/discovery"
)

// Names on the message bus.
const (
	service         = "org.freedesktop.Avahi"
	serverInterface = service + ".Server"
	groupInterface  = service + ".EntryGroup"
)

// lookAgain is how often to look for a message bus where there is none.
const lookAgain = time.Minute

func dial(ctx context.Context, address string) (*dbus.Conn, error) {
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

// Present says whether an avahi-daemon of our network namespace is on the bus.
func (p *Publisher) Present(ctx context.Context) bool {
	conn, err := dial(ctx, p.cfg.Address)
	if err != nil {
		return false
	}
	defer conn.Close()
	return p.present(ctx, conn)
}

func (p *Publisher) present(ctx context.Context, conn *dbus.Conn) bool {
	var pid uint32
	err := conn.BusObject().CallWithContext(ctx, "org.freedesktop.DBus.GetConnectionUnixProcessID", 0, service).Store(&pid)
	return err == nil && p.cfg.sameNetwork(pid)
}

// Await returns nil as soon as an avahi-daemon of our network namespace is on
// the bus, and else the error of the context.
func (p *Publisher) Await(ctx context.Context) error {
	for ctx.Err() == nil {
		conn, signals, err := p.connect(ctx)
		if err == nil {
			found := p.await(ctx, conn, signals)
			conn.Close()
			if found {
				return nil
			}
		}
		select {
		case <-ctx.Done():
		case <-time.After(lookAgain):
		}
	}
	return ctx.Err()
}

func (p *Publisher) await(ctx context.Context, conn *dbus.Conn, signals <-chan *dbus.Signal) bool {
	for !p.present(ctx, conn) {
		select {
		case <-ctx.Done():
			return false
		case _, ok := <-signals:
			if !ok {
				return false
			}
		}
	}
	return true
}

// sameNetwork compares network namespaces. Without the right to see that of
// another user's process, a port of multicast DNS that is taken in ours tells.
func sameNetwork(pid uint32) bool {
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
