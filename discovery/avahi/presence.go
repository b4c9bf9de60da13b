package avahi

import (
	"context"
	"time"

	"github.com/godbus/dbus/v5"

	"server22.local/appliance/discovery/neighbour"
)

// Names on the message bus.
const (
	service         = "org.freedesktop.Avahi"
	serverInterface = service + ".Server"
	groupInterface  = service + ".EntryGroup"
	recordInterface = service + ".RecordBrowser"
)

// lookAgain is how often to look for a message bus where there is none.
const lookAgain = time.Minute

// Present says whether an avahi-daemon of our network namespace is on the bus.
func (p *Publisher) Present(ctx context.Context) bool {
	conn, err := neighbour.Bus(ctx, p.cfg.Address)
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
